"""What every blob store promises; further stores join `stores`."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from commons.adapters.blobs import open_blobs
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.s3_blobs import S3Blobs
from commons.adapters.shared_folder import SENTINEL, prepare
from commons.errors import InvalidInputError, NotFoundError, StorageFullError, UnavailableError
from commons.ports import Blobs
from tests.sensory_house import MemoryBlobs
from tests.servers import S3, started_s3
from tests.small_disk import mounted_disk


def folder_blobs(request: pytest.FixtureRequest) -> Blobs:
    return open_blobs(str(request.getfixturevalue("tmp_path") / "blobs"))


def shared_blobs(request: pytest.FixtureRequest) -> Blobs:
    folder = request.getfixturevalue("tmp_path") / "a shared folder"
    prepare(folder)
    return open_blobs(shared_url(folder))


def shared_url(folder: Path) -> str:
    return f"{folder.as_uri()}?sentinel={SENTINEL}"


def memory_blobs(_: pytest.FixtureRequest) -> Blobs:
    return MemoryBlobs()


def s3_blobs(request: pytest.FixtureRequest) -> Blobs:
    return open_blobs(request.getfixturevalue("s3").new_blobs_url())


stores: list[object] = [
    folder_blobs,
    shared_blobs,
    memory_blobs,
    pytest.param(s3_blobs, marks=pytest.mark.integration),
]


@pytest.fixture(params=stores)
def blobs(request: pytest.FixtureRequest) -> Blobs:
    make: Callable[[pytest.FixtureRequest], Blobs] = request.param
    return make(request)


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


def test_many_blobs_are_put_as_one_by_one(blobs: Blobs) -> None:
    blobs.put("a/b/3", b"first")
    many = [(f"a/{number % 2}/{number}", b"%d" % number) for number in range(50)]
    assert blobs.put_many([*many, ("a/b/3", b"second"), many[7]]) == [True] * 50 + [False] * 2
    assert [blobs.get(name) for name, _ in many] == [data for _, data in many]
    assert blobs.get("a/b/3") == b"first"
    assert len(list(blobs.names())) == 51
    assert blobs.put_many([]) == []


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


def test_a_blob_says_when_it_was_stored(blobs: Blobs) -> None:
    before = time.time()
    blobs.put("a/b", b"x")
    # Some storages count whole seconds.
    assert before - 1.0 <= blobs.stored_at("a/b") <= time.time() + 1.0
    with pytest.raises(NotFoundError, match="a/c"):
        blobs.stored_at("a/c")


def test_of_many_that_put_the_same_name_one_creates_it(blobs: Blobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda i: blobs.put("a/b", b"%d" % i), range(50)))
    assert sum(created) == 1
    assert blobs.get("a/b") == b"%d" % created.index(True)


def test_an_address_says_which_store_it_is() -> None:
    for url in ("https://host/bucket", "s3://", "s3://bucket?what=1", "s3:///prefix"):
        with pytest.raises(InvalidInputError, match="s3://bucket/prefix"):
            open_blobs(url)


@pytest.mark.integration
def test_two_prefixes_of_one_bucket_do_not_mix(s3: S3) -> None:
    url = s3.new_blobs_url()
    one, other = open_blobs(url), open_blobs(url.replace("prefix", "prefix2"))
    one.put("a/b", b"1")
    assert not other.exists("a/b")
    assert list(other.names()) == []
    assert list(one.names()) == ["a/b"]


@pytest.mark.integration
def test_more_names_than_one_page_of_a_bucket(s3: S3) -> None:
    blobs = open_blobs(s3.new_blobs_url())
    names = [f"a/{number:04}" for number in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: blobs.put(name, b""), names))
    assert sorted(blobs.names("a/")) == names


class AnsweringClient:
    """An S3 client whose puts are refused as told and which remembers what was put."""

    def __init__(self, *refusals: tuple[str, int]) -> None:
        self.refusals = list(refusals)
        self.held: dict[str, dict[str, str]] = {}

    def put_object(self, *, Key: str, Metadata: dict[str, str], **_: object) -> None:  # noqa: N803
        self.held.setdefault(Key, Metadata)
        if self.refusals:
            code, retries = self.refusals.pop(0)
            answer = {"Error": {"Code": code}, "ResponseMetadata": {"RetryAttempts": retries}}
            raise ClientError(answer, "PutObject")

    def head_object(self, *, Key: str, **_: object) -> dict[str, object]:  # noqa: N803
        return {"Metadata": self.held[Key]}


def test_a_put_to_s3_that_meets_another_one_is_tried_again() -> None:
    conflict = ("ConditionalRequestConflict", 0)
    assert S3Blobs(AnsweringClient(conflict, conflict), "bucket").put("a/b", b"x")
    with pytest.raises(UnavailableError, match="a/b"):
        S3Blobs(AnsweringClient(*[conflict] * 100), "bucket").put("a/b", b"x")


def test_a_put_to_s3_whose_first_answer_was_lost_knows_its_own_blob() -> None:
    client = AnsweringClient(("PreconditionFailed", 1), ("PreconditionFailed", 1))
    assert S3Blobs(client, "bucket").put("a/b", b"x")
    assert not S3Blobs(client, "bucket").put("a/b", b"x")


@pytest.mark.integration
def test_a_bucket_that_is_not_there_is_unavailable(s3: S3) -> None:
    blobs = open_blobs(f"s3://no-such-bucket?endpoint_url={s3.endpoint_url}")
    with pytest.raises(UnavailableError, match="a/b"):
        blobs.put("a/b", b"x")


@pytest.mark.integration
def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with started_s3() as server:
        blobs = open_blobs(server.new_blobs_url())
        blobs.put("a/b", b"x")
        server.kill()
        for method in (
            blobs.get,
            blobs.exists,
            blobs.stored_at,
            blobs.delete,
            lambda name: blobs.put(name, b""),
        ):
            with pytest.raises(UnavailableError, match="a/b"):
                method("a/b")


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a b", "ä"]
)
@pytest.mark.parametrize(
    "url", ["anywhere", pytest.param("s3://bucket", marks=pytest.mark.integration)]
)
def test_a_name_that_could_leave_the_store_is_refused(
    url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = open_blobs(url)
    for method in (
        store.get,
        store.exists,
        store.stored_at,
        store.delete,
        lambda name: store.put(name, b""),
        lambda name: store.put_many([("a", b""), (name, b"")]),
    ):
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
    with pytest.raises(StorageFullError, match="no space"):
        blobs.put_many([("a/next", b"x"), ("a/large", b"x" * 1_000_000)])
    assert list(blobs.names()) == ["a/small"]
    assert blobs.put("a/other", b"y" * 1000), "the failed attempts gave their space back"
