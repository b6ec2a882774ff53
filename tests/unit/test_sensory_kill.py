"""`kill -9` at every step of the write path: no acknowledged image lost, none torn."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy

from commons.adapters.file_blobs import FileBlobs, LocalFiles
from tests.builders import png_bytes
from tests.sensory_house import House, open_house

FEW = range(1, 60, 7)
MANY = 500


@dataclass
class Steps:
    """Counts what the writer does and ends the process without a word before one of it."""

    left: int

    def step(self, *_: object) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingFiles(LocalFiles):
    """Dies before one of its operations."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def make_folder(self, path: Path) -> None:
        self._steps.step()
        super().make_folder(path)

    def write(self, path: Path, data: bytes) -> None:
        self._steps.step()
        path.write_bytes(data[: len(data) // 2])
        self._steps.step()
        path.write_bytes(data)

    def sync_file(self, path: Path) -> None:
        self._steps.step()
        super().sync_file(path)

    def sync_folder(self, path: Path) -> None:
        self._steps.step()
        super().sync_folder(path)

    def link(self, path: Path, name: Path) -> bool:
        self._steps.step()
        return super().link(path, name)

    def unlink(self, path: Path) -> None:
        self._steps.step()
        super().unlink(path)


def write_until_killed(folder: Path, steps: int, first: int) -> list[str]:
    """Upload in a process that dies after some steps and return what it acknowledged."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            _write(folder, Steps(steps), first, writer)
        os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        acknowledged = pipe.read().decode().split()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it ended by itself"
    assert os.WTERMSIG(status) == signal.SIGKILL
    return acknowledged


def _write(folder: Path, steps: Steps, first: int, pipe: int) -> None:
    house = open_house(folder)
    sqlalchemy.event.listen(house.platform.database, "before_cursor_execute", steps.step)
    sqlalchemy.event.listen(house.platform.database, "commit", steps.step)
    dying = house.with_parts(FileBlobs(folder / "blobs", DyingFiles(steps)))
    for number in range(first, first + 50):
        data = png_bytes((4, 4, 1), number)
        (stored,) = dying.client.upload("pets", [("a.png", data)], f"c{number % 3}").stored
        os.write(pipe, f"{number}:{stored.image}\n".encode())


def faults_of(house: House) -> set[str]:
    found = set()
    for number in range(256):
        found |= {fault.kind for fault in house.client.check(f"{number:02x}").faults}
    return found


def check(folder: Path, acknowledged: list[str]) -> None:
    house = open_house(folder)
    for line in acknowledged:
        number, image = line.split(":")
        assert house.client.image(image) == png_bytes((4, 4, 1), int(number))
    if acknowledged:
        summary = house.client.dataset("pets")
        # The one that was under way may be in the tables without having been acknowledged.
        assert len(acknowledged) <= summary.images
        assert summary.labeled == summary.images
    assert faults_of(house) <= {"orphan", "leftover"}
    house.platform.database.dispose()


@pytest.mark.parametrize("steps", FEW)
def test_no_acknowledged_image_is_lost_when_the_writer_is_killed(
    tmp_path: Path, steps: int, tell: Callable[[str], None]
) -> None:
    folder = tmp_path / "data"
    open_house(folder).platform.database.dispose()
    acknowledged = write_until_killed(folder, steps, 0)
    check(folder, acknowledged)
    tell(f"1 kill, {len(acknowledged)} images acknowledged, 0 lost, 0 torn")


@pytest.mark.campaign
def test_no_acknowledged_image_is_lost_in_many_kills(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    folder = tmp_path / "data"
    open_house(folder).platform.database.dispose()
    kills = MANY if os.environ.get("DICEBOX_CAMPAIGN") == "full" else len(FEW)
    acknowledged: list[str] = []
    for kill in range(kills):
        acknowledged += write_until_killed(folder, 1 + kill * 37 % 211, 50 * kill)
        if kill % 25 == 24:
            check(folder, acknowledged)
    check(folder, acknowledged)
    tell(f"{kills} kills, {len(acknowledged)} images acknowledged, 0 lost, 0 torn")
