"""Uploads whose length nobody says beforehand, through the servers that people start."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from commons.adapters.services import Caller
from tests.archive_builders import tar_bytes, zip_bytes
from tests.builders import png_bytes, png_files
from tests.sensory_house import BASE

pytestmark = pytest.mark.e2e
MOST_BYTES = 100_000  # of a body, and of an archive
PART_BYTES = 5_000
IMAGES = f"{BASE}/datasets/pets/images"
IMPORTS = f"{BASE}/datasets/pets/imports"


@dataclass(frozen=True)
class Served:
    """A server on a folder of its own."""

    http: httpx.Client
    process: subprocess.Popen[bytes]
    data: Path
    port: int

    def stored(self) -> int:
        """Return the images in the dataset, none if there is none."""
        found = self.http.get(f"{BASE}/datasets").json()["datasets"]
        return sum(dataset["images"] for dataset in found)

    def state(self) -> tuple[int, list[str]]:
        """Return what a refused upload does not change."""
        return self.stored(), sorted(self.left())

    def left(self) -> list[str]:
        """Return the files with pictures or archives in them, those without a name too."""
        blobs = (self.data / "blobs").rglob("*")
        parent = psutil.Process(self.process.pid)
        open_files = [
            os.readlink(link)
            for process in [parent, *parent.children(recursive=True)]
            for link in Path(f"/proc/{process.pid}/fd").iterdir()
            if link.is_symlink()
        ]
        unnamed = [name for name in open_files if name.endswith("(deleted)")]
        return [str(file) for file in blobs if file.is_file()] + [
            name for name in unnamed if name.startswith(str(self.data))
        ]


@pytest.fixture(scope="module", params=["dicebox.front_server", "sensory_service"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("served") / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        "DICEBOX_DATA": str(data),
        "DICEBOX_HOST": "127.0.0.1",
        "DICEBOX_PORT": str(port),
        "DICEBOX_MAX_BODY_BYTES": str(MOST_BYTES),
        "DICEBOX_MAX_IMPORT_BYTES": str(MOST_BYTES),
    }
    process = subprocess.Popen([sys.executable, "-m", request.param], env=os.environ | environ)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as http:
            Caller(http).call("GET", f"{BASE}/readyz")
            yield Served(http, process, data, port)
    finally:
        process.terminate()
        process.wait()


def parts(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), PART_BYTES):
        yield data[start : start + PART_BYTES]


def send(served: Served, path: str, data: bytes) -> httpx.Response:
    reply = served.http.post(path, content=parts(data))
    assert reply.request.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in reply.request.headers
    return reply


def many(count: int) -> list[tuple[str, bytes]]:
    return [(f"cat/{name}", data) for name, data in png_files(count, shape=(24, 24, 3))]


def test_an_image_and_an_archive_of_unknown_length_are_stored(served: Served) -> None:
    before = served.stored()
    picture = png_bytes((100, 100, 3))
    assert PART_BYTES < len(picture) < MOST_BYTES
    reply = send(served, IMAGES, picture)
    assert reply.status_code == 201, reply.text
    assert served.http.get(f"{BASE}/images/{reply.json()['image']}").content == picture
    for number, archive in enumerate((tar_bytes(many(20)), zip_bytes(many(20)))):
        reply = send(served, IMPORTS, archive)
        assert reply.status_code == 200, reply.text
        assert f'"{("stored", "duplicates")[number]}":20' in reply.text.splitlines()[-1]
    assert served.stored() == before + 21


@pytest.mark.parametrize("length", [MOST_BYTES + 1, 40 * MOST_BYTES])
def test_what_turns_out_too_long_is_refused_and_leaves_nothing(served: Served, length: int) -> None:
    before = served.state()
    picture = png_bytes((8, 8, 3)) + bytes(length)
    archive = tar_bytes([("cat/a.png", png_bytes())], packed=False) + bytes(length)
    for path, body in ((IMAGES, picture), (IMPORTS, archive)):
        reply = send(served, path, body[:length])
        assert reply.status_code == 413, reply.text
        assert f"at most {MOST_BYTES:,} bytes" in reply.json()["detail"]
    assert served.state() == before
    assert send(served, IMAGES, png_bytes(seed=length)).status_code == 201, "it serves on"


def test_a_body_of_the_most_bytes_is_not_too_long(served: Served) -> None:
    picture = png_bytes((8, 8, 3))
    reply = send(served, IMAGES, picture + bytes(MOST_BYTES - len(picture)))
    assert reply.status_code == 201, reply.text


def test_no_bytes_and_no_picture_are_refused_as_with_a_length(served: Served) -> None:
    before = served.state()
    for path in (IMAGES, IMPORTS):
        for body in (b"", b"hello"):
            reply = send(served, path, body)
            assert reply.status_code == 400, reply.text
            assert reply.json()["type"] in ("not-an-image", "not-an-archive")
    assert served.state() == before


@pytest.mark.parametrize("path", [IMAGES, IMPORTS])
def test_a_client_that_goes_in_the_middle_leaves_nothing(served: Served, path: str) -> None:
    before = served.state()
    body = png_bytes((90, 90, 3)) if path == IMAGES else tar_bytes(many(20))
    half = body[: len(body) // 2]
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(head.encode() + b"Content-Type: application/octet-stream\r\n")
        connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"%x\r\n%s\r\n" % (len(half), half))
        time.sleep(0.2)  # it is being read
    deadline = time.monotonic() + 10.0
    while served.state() != before:
        assert time.monotonic() < deadline, served.state()
        time.sleep(0.05)
    assert served.http.get(f"{BASE}/readyz").status_code == 200
