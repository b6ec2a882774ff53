"""A disk that is really full, whatever is asked of it: 507, nothing damaged, and on it goes.

Each operation is tried with every of several amounts of room, so that it fails at its blobs, at
its tables, at its temporary files, or not at all.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from commons.blob_names import shard_blob
from commons.errors import StorageFullError
from commons.messages import FreezeRequest
from sensory_service.adapters.blob_tables import BlobTables
from sensory_service.blob_names import image_blob, pack_blob
from tests.archive_builders import tar_bytes
from tests.builders import png_bytes, png_files
from tests.sensory_house import BASE, House, open_house
from tests.small_disk import mounted_disk

FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"
ROOM = [4096 * pages for pages in (range(0, 100, 2) if FULL else (0, 1, 4, 12, 40))]
PETS = f"{BASE}/datasets/pets"
BLOB_OF = {"images": image_blob, "packs": pack_blob, "shards": shard_blob}
LARGE = (64, 64, 3)
Operation = Callable[[House], int]
seeds = count(1000)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", "80m") as disk:
        # Parts of a form wait in temporary files.
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        yield disk


def upload(house: House) -> Operation:
    data = png_bytes(LARGE, next(seeds))
    return lambda house: status(house.http.post(f"{PETS}/images?category=cat", content=data))


def upload_form(house: House) -> Operation:
    files = [("files", file) for file in png_files(12, LARGE, next(seeds))]
    return lambda house: status(house.http.post(f"{PETS}/images", files=files))


def upload_large_form(house: House) -> Operation:
    files = [("files", file) for file in png_files(1, (480, 480, 3), next(seeds))]
    return lambda house: status(house.http.post(f"{PETS}/images", files=files))


def import_archive(house: House) -> Operation:
    files = [(f"cat/{name}", data) for name, data in png_files(12, LARGE, next(seeds))]
    data = tar_bytes(files)

    def run(house: House) -> int:
        reply = house.http.post(f"{PETS}/imports", content=data)
        if reply.status_code != 200:
            return status(reply)
        summary = json.loads(reply.text.splitlines()[-1])
        # The answer had begun: its last line says what came of it.
        assert summary["complete"] or summary["kind"] == "storage-full"
        return 200 if summary["complete"] else 507

    return run


def relabel(house: House) -> Operation:
    (stored,) = house.client.upload("pets", png_files(1, seed=next(seeds)), "cat").stored
    body = {"category": f"new {next(seeds)}"}
    path = f"{PETS}/images/{stored.image}/label"
    return lambda house: status(house.http.put(path, json=body))


def freeze(house: House) -> Operation:
    house.client.upload("pets", png_files(10, LARGE, next(seeds)), "cat")
    return lambda house: status(house.http.post(f"{PETS}/snapshots", json={}))


def order(house: House) -> Operation:
    house.client.upload("pets", png_files(2, LARGE, next(seeds)), "cat")
    snapshot = house.client.freeze("pets", FreezeRequest()).id
    request = {"snapshot": snapshot, "splits": ["train"], "shape": [64, 64, 3]}

    def run(house: House) -> int:
        reply = house.http.post(f"{BASE}/orders", json=request)
        if reply.status_code != 202:
            return status(reply)
        house.platform.clock.sleep(200.0)  # tasks that were not sent, or failed, are lost ones
        try:
            house.work()
        except StorageFullError:
            return 507
        now = house.client.order_state(reply.json()["id"])
        return 200 if now.state == "complete" else 507

    return run


def status(reply: httpx.Response) -> int:
    if not reply.is_success:
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert (reply.status_code, reply.json()["type"]) == (507, "storage-full"), reply.text
    return reply.status_code


def check_whole(house: House, before: int) -> None:
    """All that the tables know is there and whole, and they forgot nothing."""
    tables = BlobTables(house.platform.database)
    for kind, blob_of in BLOB_OF.items():
        for sha256 in tables.hashes(kind, ""):
            data = house.platform.blobs.get(blob_of(sha256))
            assert hashlib.sha256(data).hexdigest() == sha256
    summary = house.client.dataset("pets")
    assert summary.images >= before
    assert len(house.http.get(f"{PETS}/images?limit=1000").json()["images"]) == summary.images


@pytest.mark.parametrize(
    "prepare",
    [upload, upload_form, upload_large_form, import_archive, relabel, freeze, order],
    ids=lambda prepare: prepare.__name__,
)
def test_a_full_disk_is_507_and_damages_nothing(
    disk: Path, prepare: Callable[[House], Operation], tell: Callable[[str], None]
) -> None:
    house = open_house(disk / "data")
    house.fill("pets", {"cat": 6, "dog": 6})
    filler, refused = disk / "filler", 0
    for room in ROOM:
        operation = prepare(house)
        before = house.client.dataset("pets").images
        fill(filler, room)
        was_full = operation(house) == 507
        check_whole(house, before)
        filler.unlink()
        assert operation(house) < 300, "it goes on when there is room again"
        check_whole(house, before)
        refused += was_full
    house.platform.database.dispose()
    check_whole(open_house(disk / "data"), before)
    # A freeze without room for its pack is a freeze; tables may have room in their own pages.
    assert refused or prepare in (freeze, relabel)
    tell(f"{len(ROOM)} amounts of room, {refused} answered 507, 0 damaged, all done afterwards")


def fill(filler: Path, room: int) -> None:
    """Leave that many bytes on the disk."""
    disk = os.statvfs(filler.parent)
    filler.write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - room)))
