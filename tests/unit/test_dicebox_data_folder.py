"""One house a folder, and everybody finds it."""

import json
import multiprocessing
import threading
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from commons.errors import ConflictError
from dicebox.data_folder import DataFolder

URL = "http://127.0.0.1:8123"


def write_address(folder: Path) -> None:
    (folder / "address.json").write_text(json.dumps({"url": URL}), encoding="utf-8")


def hold(path: Path, held: Event) -> None:
    """Be a house that is killed while it serves."""
    folder = DataFolder(path)
    folder.claim()
    write_address(path)
    held.set()
    threading.Event().wait()


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[multiprocessing.Process]:
    """Give another process that serves the folder, to be killed."""
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    process = spawn.Process(target=hold, args=(tmp_path, held))
    process.start()
    assert held.wait(30)
    yield process
    process.kill()
    process.join()


def test_a_folder_that_nobody_serves_has_no_address_and_is_not_made(tmp_path: Path) -> None:
    assert DataFolder(tmp_path / "data").address() is None
    assert not (tmp_path / "data").exists()


def test_an_address_that_a_killed_house_left_behind_is_none(tmp_path: Path) -> None:
    DataFolder(tmp_path).claim()
    write_address(tmp_path)
    # The lock of the first went with its last reference, as that of a process with its end.
    assert DataFolder(tmp_path).address() is None


def test_a_house_in_another_process_is_found_and_keeps_the_folder(
    tmp_path: Path, killed: multiprocessing.Process
) -> None:
    assert DataFolder(tmp_path).address() == URL
    with pytest.raises(ConflictError, match=f"is already served by {URL}"):
        DataFolder(tmp_path).claim()
    killed.kill()
    killed.join()
    assert DataFolder(tmp_path).address() is None
    next_one = DataFolder(tmp_path)
    assert next_one.claim() == URL  # whose children may still be about to end
    assert not (tmp_path / "address.json").exists()
    next_one.release()


def test_a_folder_given_back_says_nothing_of_whoever_had_it(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.claim() is None
    write_address(tmp_path)
    assert folder.address() == URL
    folder.release()
    assert folder.address() is None
    assert folder.claim() is None
    folder.release()


def test_a_house_that_is_starting_is_waited_for(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.claim()
    assert folder.address() is None
    later = threading.Timer(0.2, write_address, [tmp_path])
    later.start()
    assert folder.address(patience_s=10.0) == URL
    later.join()
    folder.release()


def test_whoever_looks_for_a_house_does_not_keep_one_from_starting(tmp_path: Path) -> None:
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            DataFolder(tmp_path).address()

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(20):
            folder = DataFolder(tmp_path)
            folder.claim()
            folder.release()
    finally:
        ended.set()
        for looker in lookers:
            looker.join()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_an_address_that_is_damaged_is_none(tmp_path: Path, text: str) -> None:
    folder = DataFolder(tmp_path)
    folder.claim()
    (tmp_path / "address.json").write_text(text, encoding="utf-8")
    assert folder.address() is None
    folder.release()
