"""Services on granian that are told to end, as an update does it: nothing that began is lost."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.builders import png_files
from tests.dicebox_processes import until
from tests.servers import free_port, kill_group

pytestmark = pytest.mark.e2e

BASE = "/api/sensory/v1"
# A front that follows the names of services sends nothing new to one that is to end for so long.
UNKNOWN_S = 2.0
SLOW_S = UNKNOWN_S + 2.0


@contextmanager
def started(module: str, path: str, data: Path, **settings: str) -> Iterator[tuple[int, Callable]]:
    """Give the port of a service, and what tells it to end and says how it did.

    Called with `victim=True` that ends one of the processes behind it as if it had crashed.
    """
    port = free_port()
    told = {"DATA": str(data), "PORT": str(port), **settings}
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env=os.environ | {f"DICEBOX_{name}": value for name, value in told.items()},
        start_new_session=True,
    )

    def end(*, victim: bool = False) -> tuple[int, float]:
        began = time.monotonic()
        if victim:
            server = psutil.Process(process.pid)
            workers = [one for one in server.children() if "tracker" not in str(one.cmdline())]
            workers[0].kill()
            return 0, 0.0
        process.send_signal(signal.SIGTERM)
        return process.wait(60), time.monotonic() - began

    def is_ready() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}/readyz").is_success
        except httpx.TransportError:
            return False

    try:
        until(is_ready, 60.0)
        yield port, end
    finally:
        kill_group(process)


class Uploading(threading.Thread):
    """Uploads images, each over a connection of its own, until told not to."""

    def __init__(self, port: int, images: list[tuple[str, bytes]]) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}{BASE}/datasets/pets/images?category=cat"
        self.images = images
        self.stored = 0
        self.failures: list[str] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        for _, data in self.images:
            if self.is_over.is_set():
                return
            try:
                reply = httpx.post(self.url, content=data, headers={"Connection": "close"})
            except httpx.TransportError as error:
                self.failures.append(repr(error))
                continue
            if reply.status_code == 201:
                self.stored += 1
            else:
                self.failures.append(reply.text)


class SlowUpload(threading.Thread):
    """Sends the bytes of an image little by little."""

    def __init__(self, port: int, data: bytes) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.data = data
        self.status = 0

    def run(self) -> None:
        head = (
            f"POST {BASE}/datasets/pets/images?category=dog HTTP/1.1\r\nHost: localhost\r\n"
            f"Connection: close\r\nContent-Length: {len(self.data)}\r\n\r\n"
        )
        parts = 8
        with socket.create_connection(("127.0.0.1", self.port), 30.0) as connection:
            connection.sendall(head.encode())
            size = -(-len(self.data) // parts)
            for at in range(0, len(self.data), size):
                time.sleep(SLOW_S / parts)
                connection.sendall(self.data[at : at + size])
            self.status = int(connection.recv(65536).split()[1])


def test_an_update_of_the_sensory_service_loses_no_request_that_has_begun(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    with started("sensory_service", BASE, tmp_path / "data") as (port, end):
        clients = [Uploading(port, png_files(2000, seed=seed)) for seed in range(4)]
        for client in clients:
            client.start()
        until(lambda: all(client.stored > 20 for client in clients))
        slow = [SlowUpload(port, data) for _, data in png_files(4, (64, 64, 1), seed=99)]
        for upload in slow:
            upload.start()
        with socket.create_connection(("127.0.0.1", port), 10.0) as idle:
            # A client that keeps its connection and asks nothing must not keep the service.
            idle.sendall(f"GET {BASE}/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert b"200 OK" in idle.recv(65536)
            for client in clients:
                client.is_over.set()
            time.sleep(UNKNOWN_S)
            code, seconds = end()
        for thread in (*clients, *slow):
            thread.join(30.0)
        assert code == 0
        assert [client.failures for client in clients] == [[]] * 4
        assert [upload.status for upload in slow] == [201] * 4
        assert seconds < 2 * SLOW_S
        stored = sum(client.stored for client in clients)
        tell(f"{stored} uploads and 4 slow ones, none lost; ended in {seconds:.1f} s")


def test_the_evolver_is_served_alone_and_ends_at_once(tmp_path: Path) -> None:
    path = "/api/evolution/v1"
    with started("evolver.web", path, tmp_path / "data", SERVER_PROCESSES="2") as (port, end):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}{path}") as http:
            assert http.get("/healthz").json() == {"status": "alive"}
            assert http.get("/readyz").json() == {"ready": True, "missing": {}}
            run = {"dataset": "digits", "seconds": 60, "classes": 2}
            refused = http.post("/runs", json=run | {"taxonomy": {"layers": "none"}})
            assert refused.status_code == 400
            assert http.get("/runs").json() == {"runs": []}
            # Both processes count together.
            until(lambda: f'{path}/runs"' in http.get("/metrics").text)
        code, seconds = end()
        assert code == 0
        assert seconds < 10.0


def test_a_process_of_a_service_that_dies_is_replaced(tmp_path: Path) -> None:
    settings = {"SERVER_PROCESSES": "2"}
    with started("sensory_service", BASE, tmp_path / "data", **settings) as (port, end):
        end(victim=True)
        time.sleep(0.5)
        for _ in range(20):
            assert httpx.get(f"http://127.0.0.1:{port}{BASE}/datasets").is_success
        assert end()[0] == 0
