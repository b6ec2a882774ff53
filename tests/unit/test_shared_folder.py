"""A folder that is mounted, or is not: nothing is lost into an empty one in its place."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from commons.adapters.blobs import open_blobs
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.shared_folder import SENTINEL, SharedFolder, main, prepare
from commons.errors import InvalidInputError, NotFoundError, StorageFullError, UnavailableError
from tests.small_disk import mounted_disk

ASKING: dict[str, Callable[[FileBlobs], object]] = {
    "put": lambda blobs: blobs.put("a/new", b"x"),
    "put_many": lambda blobs: blobs.put_many([("a/new", b"x"), ("a/other", b"y")]),
    "get": lambda blobs: blobs.get("a/none"),
    "exists": lambda blobs: blobs.exists("a/none"),
    "delete": lambda blobs: blobs.delete("a/none"),
    "stored_at": lambda blobs: blobs.stored_at("a/none"),
    "names": lambda blobs: list(blobs.names()),
    "probe": lambda blobs: blobs.probe(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a place where a shared folder is to be."""
    return tmp_path / "shared" / "blobs"


def blobs_in(folder: Path) -> FileBlobs:
    return FileBlobs(folder, sentinel=SENTINEL)


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("is_there", [False, True])
def test_without_its_sentinel_a_folder_takes_nothing_and_denies_nothing(
    folder: Path, ask: Callable[[FileBlobs], object], is_there: bool
) -> None:
    if is_there:
        folder.mkdir(parents=True)
    with pytest.raises(UnavailableError, match=rf"{folder} has no {SENTINEL}.*not mounted"):
        ask(blobs_in(folder))
    assert folder.exists() == is_there
    assert not list(folder.parent.rglob("*/*"))


def test_with_its_sentinel_it_is_a_folder_of_blobs_like_any_other(folder: Path) -> None:
    assert prepare(folder)
    blobs = open_blobs(f"{folder.as_uri()}?sentinel={SENTINEL}")
    assert blobs.put("a/b", b"x")
    assert list(blobs.names()) == ["a/b"]
    with pytest.raises(NotFoundError, match="a/none"):
        blobs.get("a/none")


def test_a_mount_that_goes_away_under_a_process_is_missed_within_a_second(folder: Path) -> None:
    now = [0.0]
    shared = SharedFolder(folder, SENTINEL, monotonic=lambda: now[0])
    prepare(folder)
    shared.check()
    (folder / SENTINEL).unlink()
    now[0] = 0.9
    shared.check()
    now[0] = 1.0
    with pytest.raises(UnavailableError, match="not mounted"):
        shared.check()


def test_another_volume_in_its_place_is_not_taken_for_it(folder: Path) -> None:
    now = [0.0]
    shared = SharedFolder(folder, SENTINEL, monotonic=lambda: now[0])
    prepare(folder)
    mine = (folder / SENTINEL).read_bytes()
    shared.check()
    shutil.rmtree(folder)
    prepare(folder)
    now[0] = 5.0
    with pytest.raises(UnavailableError, match="is another folder than before"):
        shared.check()
    (folder / SENTINEL).write_bytes(mine)
    shared.check()


def test_a_sentinel_is_made_once_and_never_changed(folder: Path, tmp_path: Path) -> None:
    assert prepare(folder)
    first = (folder / SENTINEL).read_bytes()
    assert len(first) == 33
    assert not prepare(folder)
    assert (folder / SENTINEL).read_bytes() == first
    assert [path.name for path in folder.iterdir()] == [SENTINEL]
    assert prepare(tmp_path / "other")
    assert (tmp_path / "other" / SENTINEL).read_bytes() != first


def test_the_command_says_what_it_did(folder: Path) -> None:
    command = [sys.executable, "-m", "commons.adapters.shared_folder", str(folder)]
    said = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert [one.stderr for one in said] == ["", ""]
    assert said[0].stdout == f"{folder / SENTINEL} was made\n"
    assert said[1].stdout == f"{folder / SENTINEL} is there\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_called_as_root_it_gives_the_folder_to_whom_the_images_run_as(folder: Path) -> None:
    main([str(folder)])
    for path in (folder, folder / SENTINEL):
        assert (path.stat().st_uid, path.stat().st_gid) == (10001, 10001)


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "file" / "folder")])
    assert str(ended.value).startswith("shared_folder: cannot make ")
    assert str(ended.value).endswith("Not a directory")


@pytest.mark.parametrize(
    "url",
    [
        "file://host/folder",
        "file:///folder?sentinel=",
        "file:///folder?sentinel=name",
        "file:///folder?sentinel=.a/b",
        "file:///folder?sentinel=..",
        "file:///folder?sentinel=.a&sentinel=.b",
        "file:///folder?what=1",
    ],
)
def test_an_address_of_a_shared_folder_is_whole_or_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"file:///folder\?sentinel|s3://"):
        open_blobs(url)


def test_a_full_disk_and_a_read_only_one_are_told_apart(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", "256k") as disk:
        prepare(disk)
        blobs = blobs_in(disk)
        blobs.probe()
        assert not list((disk / ".temporary").iterdir())
        with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        with pytest.raises(StorageFullError, match=f"no space is left in {disk}"):
            blobs.probe()
        (disk / "filler").unlink()
        blobs.probe()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(UnavailableError, match=f"{disk} is read-only"):
            blobs.probe()
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        blobs.probe()
