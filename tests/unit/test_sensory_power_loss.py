"""Blobs and tables together on a disk that forgets whatever was not synced.

Between any two steps of an upload, a freeze with its pack and an order with its shards, the
power may go: what the tables know then must be in the blobs, whole. The tables themselves are
synced by SQLite at every commit.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import sqlalchemy

from commons.adapters.file_blobs import FileBlobs
from commons.blob_names import shard_blob
from commons.errors import NotFoundError
from commons.messages import FreezeRequest
from sensory_service.adapters.blob_tables import BlobTables
from sensory_service.blob_names import image_blob, pack_blob
from tests.builders import png_files
from tests.forgetful_files import ForgetfulFiles, PowerLossError
from tests.sensory_house import House, open_house

ROOT = Path("/data/blobs")
BLOB_OF = {"images": image_blob, "packs": pack_blob, "shards": shard_blob}


class ForgetfulBlobs(FileBlobs):
    """`FileBlobs` that reads from the forgetful disk as well."""

    def __init__(self, files: ForgetfulFiles) -> None:
        super().__init__(ROOT, files, threads=1)
        self._disk = files

    def get(self, name: str) -> bytes:
        file = self._disk.names.get(ROOT / name)
        if file is None:
            raise NotFoundError(f"there is no blob named {name}")
        return file.data

    def exists(self, name: str) -> bool:
        return self._disk.names.get(ROOT / name) is not None

    def names(self, prefix: str = "") -> Iterator[str]:
        for path, file in list(self._disk.names.items()):
            if file is not None and path.is_relative_to(ROOT / prefix):
                yield path.relative_to(ROOT).as_posix()


class WatchedFiles(ForgetfulFiles):
    """Looks before every step what would be lost if the power went now."""

    before_step: Callable[[], None] | None = None

    def _step(self) -> None:
        if self.before_step is not None:
            self.before_step()
        super()._step()


def losses(folder: Path, lost_sync: int | None = None) -> tuple[set[str], WatchedFiles]:
    """Do all that writes until something would be lost; return the kinds of it."""
    files = WatchedFiles(lost_sync=lost_sync)
    files.make_folder(ROOT.parent)
    files.durable.add(ROOT.parent)
    house = open_house(folder).with_parts(ForgetfulBlobs(files))
    lost: set[str] = set()

    def look() -> None:
        lost.update(lost_now(house.platform.database, files))
        if lost:
            raise PowerLossError

    files.before_step = look
    with suppress(PowerLossError):
        write_everything(house)
        look()
    house.platform.database.dispose()
    return lost, files


def write_everything(house: House) -> None:
    for number, category in enumerate(["cat", "dog"] * 2):
        house.client.upload("pets", png_files(1, seed=number), category)
    snapshot = house.client.freeze("pets", FreezeRequest())
    house.ordered(snapshot)
    house.work()


def lost_now(database: sqlalchemy.Engine, files: ForgetfulFiles) -> set[str]:
    """Return the kinds of what the tables know and a start after a power loss would not find."""
    tables = BlobTables(database)
    known = {kind: tables.hashes(kind, "") for kind in BLOB_OF}
    lost = set()
    for lucky in (False, True):
        there = files.after_power_loss(lucky_names=lucky)
        for kind, hashes in known.items():
            for sha256 in hashes:
                data = there.get(ROOT / BLOB_OF[kind](sha256), b"")
                if hashlib.sha256(data).hexdigest() != sha256:
                    lost.add(kind)
    return lost


def test_what_the_tables_know_survives_wherever_the_power_goes(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    lost, files = losses(tmp_path)
    assert lost == set()
    blobs = [path for path in files.names if path.name.isalnum() and len(path.name) == 64]
    assert {path.relative_to(ROOT).parts[0] for path in blobs} == set(BLOB_OF)
    tell(f"power lost before each of {files.steps} steps, {len(blobs)} blobs, 0 lost, 0 torn")


def test_without_any_one_of_all_syncs_something_is_lost(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    _, whole = losses(tmp_path / "whole")
    found = {}
    for lost in range(whole.syncs):
        found[lost], _ = losses(tmp_path / str(lost), lost)
    assert [number for number, kinds in found.items() if not kinds] == []
    assert set().union(*found.values()) == set(BLOB_OF)
    tell(f"{whole.syncs} syncs left out in turn, {len(found)} noticed")


def test_the_tables_are_synced_at_every_commit(tmp_path: Path) -> None:
    house = open_house(tmp_path)
    for _ in range(2):
        with house.platform.database.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        house.platform.database.dispose()
