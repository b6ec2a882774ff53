"""The files of networks over HTTP: from a trainer that shares no blobs with the service."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from classification_service.app import Settings, create_service
from classification_service.network_files import NetworkFiles
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from commons.errors import ConflictError, InvalidInputError, StorageFullError, TooLargeError
from commons.network_card import network_blob
from tests.onnx_builders import network_card

FILES = f"{CLASSIFICATION}/network-files"
MOST_BYTES = 20_000


class Recorder(httpx.BaseTransport):
    """Passes requests on to an app and remembers them."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport
        self.requests: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        return self._transport.handle_request(request)


@pytest.fixture
def far(tmp_path: Path) -> FileBlobs:
    """Give the blobs of a trainer on another machine."""
    return FileBlobs(tmp_path / "trainer")


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    settings = Settings(data=tmp_path / "house", max_network_file_bytes=MOST_BYTES)
    return Recorder(httpx.WSGITransport(app=create_service(settings).app))


@pytest.fixture
def http(recorder: Recorder) -> Iterator[httpx.Client]:
    with httpx.Client(transport=recorder, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def gallery(http: httpx.Client) -> GalleryClient:
    return GalleryClient(Caller(http, patience_s=0.01))


def name_of(data: bytes, kind: str = "npz") -> str:
    return f"{hashlib.sha256(data).hexdigest()}.{kind}"


def stored(tmp_path: Path) -> list[str]:
    return sorted(FileBlobs(tmp_path / "house" / "blobs").names())


def test_a_card_whose_files_are_missing_is_refused_and_says_how_to_send_them(gallery, far) -> None:
    card = network_card(far)
    with pytest.raises(ConflictError, match="PUT to network-files/") as caught:
        gallery.register(card)
    assert caught.value.kind == "missing-files"
    for file in (card.weights, card.keras, card.onnx):
        assert file.blob in str(caught.value)
    assert gallery.networks() == []


def test_publishing_sends_what_is_missing_and_the_network_answers(
    gallery, far, recorder, http
) -> None:
    card = network_card(far)
    gallery.put_file(card.keras.blob.rpartition("/")[2], far.get(card.keras.blob))
    recorder.requests.clear()
    network = gallery.publish(card, far.get)
    assert sum(request.startswith("PUT") for request in recorder.requests) == 2
    gallery.promote("digits", network)
    assert gallery.networks("digits")[0]["champion"]
    assert gallery.file(network, "onnx") == far.get(card.onnx.blob)
    reply = http.get(f"{FILES}/{card.weights.blob.rpartition('/')[2]}")
    assert reply.content == far.get(card.weights.blob)
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_where_the_blobs_are_shared_nothing_is_sent(gallery, tmp_path, recorder) -> None:
    shared = FileBlobs(tmp_path / "house" / "blobs")
    card = network_card(shared)
    network = gallery.publish(card, shared.get)
    assert recorder.requests == [f"POST {CLASSIFICATION}/networks"]
    assert gallery.publish(card, shared.get) == network


def test_a_file_is_new_once_and_then_a_duplicate(http, tmp_path) -> None:
    name = name_of(b"weights")
    assert http.head(f"{FILES}/{name}").status_code == 404
    replies = [http.put(f"{FILES}/{name}", content=b"weights") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [201, 200]
    assert [reply.json()["duplicate"] for reply in replies] == [False, True]
    assert http.head(f"{FILES}/{name}").status_code == 200
    assert stored(tmp_path) == [network_blob(name)]


def test_bytes_with_another_hash_change_nothing(http, tmp_path) -> None:
    name = name_of(b"weights")
    reply = http.put(f"{FILES}/{name}", content=b"other weights")
    assert (reply.status_code, reply.json()["type"]) == (400, "wrong-hash")
    assert stored(tmp_path) == []


@pytest.mark.parametrize("name", ["x.npz", f"{'0' * 64}.exe", f"{'0' * 64}", f"{'A' * 64}.npz"])
def test_a_name_that_is_no_hash_and_kind_is_refused(http, tmp_path, name: str) -> None:
    assert http.put(f"{FILES}/{name}", content=b"weights").status_code == 400
    assert stored(tmp_path) == []


def test_a_file_above_the_limit_is_refused(http, tmp_path) -> None:
    data = b"w" * (MOST_BYTES + 1)
    reply = http.put(f"{FILES}/{name_of(data)}", content=data)
    assert (reply.status_code, reply.json()["type"]) == (413, "too-large")
    assert stored(tmp_path) == []
    assert http.put(f"{FILES}/{name_of(data[1:])}", content=data[1:]).status_code == 201


def test_a_stream_without_a_length_is_read_to_the_limit_and_no_further(far) -> None:
    stream = io.BytesIO(b"w" * 5_000_000)
    with pytest.raises(TooLargeError, match="at most 20,000 bytes"):
        NetworkFiles(far, MOST_BYTES).add(name_of(stream.getvalue()), stream)
    assert stream.tell() < 2_000_000
    assert list(far.names()) == []


def test_a_full_disk_is_told_and_nothing_is_stored(gallery, http, tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("commons.adapters.file_blobs.LocalFiles.write", full)
    assert http.put(f"{FILES}/{name_of(b'w')}", content=b"w").status_code == 507
    with pytest.raises(StorageFullError, match="no space"):
        gallery.put_file(name_of(b"w"), b"w")
    assert stored(tmp_path) == []


def test_a_file_that_is_no_network_is_refused_with_its_card(gallery, far) -> None:
    card = network_card(far, b"this is no ONNX file")
    with pytest.raises(InvalidInputError) as caught:
        gallery.publish(card, far.get)
    assert caught.value.kind == "damaged-network"
    assert gallery.networks() == []
