"""`dicebox load` as its user runs it, against the services it is meant for."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from classification_service.app import Settings, create_service
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from tests.builders import png_bytes
from tests.dicebox_processes import Dicebox, until
from tests.onnx_builders import network_card
from tests.servers import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture
def dicebox(tmp_path: Path) -> Iterator[Dicebox]:
    """Give a data folder with a champion for `digits`."""
    data = tmp_path / "data"
    app = create_service(Settings(data=data)).app
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://localhost") as http:
        gallery = GalleryClient(Caller(http))
        gallery.promote("digits", gallery.register(network_card(FileBlobs(data / "blobs"))))
    dicebox = Dicebox(data)
    yield dicebox
    dicebox.end()


def image(folder: Path) -> Path:
    file = folder / "a.png"
    file.write_bytes(png_bytes())
    return file


def test_a_running_house_is_found_and_every_request_is_answered(
    dicebox: Dicebox, tmp_path: Path
) -> None:
    process, _ = dicebox.up()
    options = ("--rate", 50, "--seconds", 1, "--image", image(tmp_path), "--json")
    ended = dicebox.run("load", *options, "--arrivals", "constant")
    assert (ended.json["planned"], ended.json["statuses"]) == (50, {"200": 50})
    assert (ended.json["refused"], ended.json["lost"], ended.json["timed_out"]) == (0, 0, 0)
    # A machine that is busy may have sent them late, and then it says so.
    assert ended.code == (0 if ended.json["valid"] else 1)
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def test_the_service_alone_keeps_its_connections_and_answers_all(
    dicebox: Dicebox, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    service = subprocess.Popen(
        [sys.executable, "-m", "classification_service"],
        env={**os.environ, "DICEBOX_DATA": str(dicebox.data), "DICEBOX_PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            return httpx.get(f"{url}{CLASSIFICATION}/readyz").is_success
        except httpx.TransportError:
            return False

    try:
        until(answers)
        options = ("--rate", 400, "--seconds", 1, "--image", image(tmp_path), "--json")
        ended = dicebox.run("--url", url, "load", *options)
        assert ended.json["planned"] > 300
        assert ended.json["statuses"] == {"200": ended.json["planned"]}
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(30)
