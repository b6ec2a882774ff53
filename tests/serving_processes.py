"""`python -m classification_service` as an operator starts it, with a network that answers."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

from classification_service.app import Settings, create_service
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from tests.dicebox_processes import until
from tests.onnx_builders import network_card
from tests.servers import free_port


def picture(value: int = 255, size: tuple[int, int] = (8, 8), form: str = "PNG") -> bytes:
    """Return a picture of one brightness."""
    file = io.BytesIO()
    Image.fromarray(np.full(size, value, np.uint8)).save(file, form)
    return file.getvalue()


def promote(data: Path, onnx: bytes | None = None, **changes) -> str:
    """Register and promote a network in a data folder; return its id."""
    service = create_service(Settings(data=data))
    transport = httpx.WSGITransport(service.app)
    with httpx.Client(transport=transport, base_url="http://localhost") as http:
        gallery = GalleryClient(Caller(http))
        card = network_card(FileBlobs(data / "blobs"), onnx, **changes)
        network = gallery.register(card)
        gallery.promote(card.dataset, network)
    return network


@dataclass
class Serving:
    """The started service."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """The address of the classification service."""
        return f"http://127.0.0.1:{self.port}{CLASSIFICATION}"

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer."""
        return psutil.Process(self.process.pid).children()

    def is_ready(self) -> bool:
        """Say whether it answers."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:
            return False


@contextmanager
def serving(data: Path, **settings: object) -> Iterator[Serving]:
    """Start the service on a data folder; end it with the block."""
    port = free_port()
    log = data / "serving.log"
    environ = {f"DICEBOX_{name.upper()}": str(value) for name, value in settings.items()}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "classification_service"],
            env={**os.environ, "DICEBOX_DATA": str(data), "DICEBOX_PORT": str(port), **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    service = Serving(process, port, log)
    try:
        until(service.is_ready, 60.0)
        yield service
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                for worker in service.workers():
                    worker.kill()
                process.kill()
                process.wait()
