"""Room in the cache: who is used stays, who was used longest ago goes first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from trainer.adapters.cache_room import Hold, make_room, size_of


def entry(folder: Path, name: str, size: int, used: float) -> Path:
    place = folder / name
    place.mkdir()
    (folder / f"{name}.lock").touch()
    (place / "numbers").write_bytes(bytes(size))
    (place / "used").touch()
    os.utime(place / "used", (used, used))
    return place


def names(folder: Path) -> list[str]:
    return sorted(place.name for place in folder.iterdir() if place.is_dir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, used in (("b", 20.0), ("a", 30.0), ("c", 10.0)):
        entry(tmp_path, name, 100, used)
    return tmp_path


@pytest.mark.parametrize(
    ("needed", "most", "left"),
    [
        (100, 400, ["a", "b", "c"]),
        (101, 400, ["a", "b"]),
        (100, 300, ["a", "b"]),
        (150, 300, ["a"]),
        (300, 300, []),
        (500, 300, []),
    ],
)
def test_what_was_used_longest_ago_goes_first(
    folder: Path, needed: int, most: int, left: list[str]
) -> None:
    assert make_room(folder, needed, most) == 100 * (3 - len(left))
    assert names(folder) == left


def test_what_somebody_uses_stays_and_may_go_afterwards(folder: Path) -> None:
    with Hold(folder / "c"), Hold(folder / "c"):
        assert make_room(folder, 100, 300) == 100
        assert names(folder) == ["a", "c"]
    assert make_room(folder, 300, 300) == 200
    assert names(folder) == []


def test_another_process_that_ends_lets_go_of_what_it_used(folder: Path) -> None:
    script = (
        "import sys, pathlib; from trainer.adapters.cache_room import Hold;"
        "kept = Hold(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "c")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        make_room(folder, 300, 300)
        assert names(folder) == ["c"]
        process.kill()
        process.wait()
    make_room(folder, 300, 300)
    assert names(folder) == []


def test_to_use_an_entry_makes_it_the_last_to_go(folder: Path) -> None:
    Hold(folder / "c").close()
    make_room(folder, 100, 300)
    assert names(folder) == ["a", "c"]


def test_what_is_being_made_or_opened_stays(folder: Path) -> None:
    (folder / "c").rename(folder / ".c")
    with FileLock(folder / "c.lock"), FileLock(folder / "b.lock"):
        make_room(folder, 300, 300)
        assert names(folder) == [".c", "b"]


def test_a_filling_that_somebody_gave_up_goes_too(folder: Path) -> None:
    place = folder / ".d"
    place.mkdir()
    (folder / "d.lock").touch()
    (place / "numbers").write_bytes(bytes(50))
    os.utime(place, (1.0, 1.0))
    assert size_of(place) == 50
    assert make_room(folder, 0, 300) == 50
    assert names(folder) == ["a", "b", "c"]


def test_a_folder_of_somebody_else_is_never_deleted(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "numbers").write_bytes(bytes(100))
    assert make_room(folder, 300, 300) == 300
    assert names(folder) == ["mine"]
