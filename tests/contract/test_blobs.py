"""What every blob store promises; further stores join the list of `stores`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commons.adapters.file_blobs import FileBlobs
from commons.errors import InvalidInputError, NotFoundError, StorageFullError, UnavailableError
from commons.ports import Blobs
from tests.sensory_house import MemoryBlobs
from tests.small_disk import mounted_disk


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return FileBlobs(tmp_path / "blobs") if request.param == "folder" else MemoryBlobs()


@pytest.fixture
def folder(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


def test_bytes_come_back_as_they_were_put(blobs: Blobs) -> None:
    assert blobs.put("images/ab/cd/abcd", b"\x00\xff" * 1000)
    assert blobs.get("images/ab/cd/abcd") == b"\x00\xff" * 1000


def test_a_blob_is_created_once_and_never_changed(blobs: Blobs) -> None:
    assert blobs.put("a/b", b"first")
    assert not blobs.put("a/b", b"second")
    assert blobs.get("a/b") == b"first"


def test_an_empty_blob_is_a_blob(blobs: Blobs) -> None:
    blobs.put("empty", b"")
    assert blobs.exists("empty")
    assert blobs.get("empty") == b""


def test_what_was_never_put_is_not_found(blobs: Blobs) -> None:
    assert not blobs.exists("a/b")
    with pytest.raises(NotFoundError, match="a/b"):
        blobs.get("a/b")


def test_a_deleted_blob_is_gone_and_may_be_put_again(blobs: Blobs) -> None:
    blobs.put("a/b", b"first")
    assert blobs.delete("a/b")
    assert not blobs.exists("a/b")
    assert not blobs.delete("a/b")
    assert blobs.put("a/b", b"second")


def test_names_are_those_that_start_with_the_prefix(blobs: Blobs) -> None:
    for name in ("images/ab/1", "images/ac/2", "shards/3"):
        blobs.put(name, b"x")
    assert sorted(blobs.names("images/a")) == ["images/ab/1", "images/ac/2"]
    assert sorted(blobs.names()) == ["images/ab/1", "images/ac/2", "shards/3"]
    assert list(blobs.names("nothing/")) == []


def test_of_many_that_put_the_same_name_one_creates_it(blobs: Blobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda i: blobs.put("a/b", b"%d" % i), range(50)))
    assert sum(created) == 1
    assert blobs.get("a/b") == b"%d" % created.index(True)


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a b", "ä"]
)
def test_a_name_that_could_leave_the_store_is_refused(folder: FileBlobs, name: str) -> None:
    for method in (folder.get, folder.exists, folder.delete, lambda name: folder.put(name, b"")):
        with pytest.raises(InvalidInputError, match="blob name"):
            method(name)


def test_a_reader_never_sees_a_part_of_a_blob_being_written(folder: FileBlobs) -> None:
    data = b"0123456789" * 100_000
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            name = f"a/{number}"
            writing = pool.submit(folder.put, name, data)
            while not folder.exists(name):
                pass
            assert folder.get(name) == data
            assert writing.result()


def test_nothing_temporary_is_left_over(folder: FileBlobs, tmp_path: Path) -> None:
    folder.put("a/b", b"x")
    folder.put("a/b", b"y")
    assert [path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == ["b"]


def test_what_an_interrupted_writer_left_is_no_blob(folder: FileBlobs, tmp_path: Path) -> None:
    folder.put("a/b", b"x")
    (tmp_path / "blobs" / ".temporary" / "0123").write_bytes(b"half")
    assert list(folder.names()) == ["a/b"]


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="a/b"):
        FileBlobs(tmp_path / "file").put("a/b", b"x")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", "256k") as disk:
        yield disk


def test_a_full_disk_stores_nothing_and_says_so(small_disk: Path) -> None:
    blobs = FileBlobs(small_disk)
    blobs.put("a/small", b"x")
    with pytest.raises(StorageFullError, match="no space"):
        blobs.put("a/large", b"x" * 1_000_000)
    assert not blobs.exists("a/large")
    assert blobs.get("a/small") == b"x"
    assert blobs.put("a/other", b"y" * 1000), "the failed attempt gave its space back"
