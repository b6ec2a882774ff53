"""What becomes of requests when the service is told to end, or one of its processes dies."""

import signal
import socket
import threading
from pathlib import Path

import httpx
import pytest

from commons.adapters.services import CLASSIFICATION
from tests.dicebox_processes import until
from tests.http_hosts import read_reply, read_to_end
from tests.serving_processes import Serving, picture, promote, serving

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drain")
    promote(folder)
    return folder


class Asking(threading.Thread):
    """Asks over one connection after another, as clients of a load balancer do, until told not to.

    What was refused before anything was sent is no failure: the port is closed in the end.
    """

    def __init__(self, service: Serving) -> None:
        super().__init__(daemon=True)
        self.service = service
        self.answered = 0
        self.closed = 0
        self.failures: list[str] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        body = picture()
        head = (
            f"POST {CLASSIFICATION}/classify HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        while not self.is_over.is_set():
            try:
                connection = socket.create_connection(("127.0.0.1", self.service.port), 10.0)
            except ConnectionRefusedError:
                return
            with connection:
                self._ask(connection, head.encode() + body)

    def _ask(self, connection: socket.socket, request: bytes) -> None:
        while not self.is_over.is_set():
            try:
                connection.sendall(request)
                status, headers, _, _ = read_reply(connection)
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
                return
            if status != 200:
                self.failures.append(str(status))
            self.answered += 1
            if headers.get("connection") == "close":
                self.closed += 1
                return


def test_sigterm_under_load_loses_no_request(data):
    with serving(data, drain_s=4) as service:
        clients = [Asking(service) for _ in range(6)]
        for client in clients:
            client.start()
        until(lambda: all(client.answered > 20 for client in clients))
        before = sum(client.answered for client in clients)
        service.process.send_signal(signal.SIGTERM)
        # New connections are served for a while, and readiness says that it will end.
        until(lambda: _readiness(service) == 503)
        assert service.process.wait(20) == 0
        for client in clients:
            client.join(10)
        assert [client.failures for client in clients] == [[]] * 6
        assert sum(client.answered for client in clients) > before
        assert all(client.closed for client in clients)


def _readiness(service: Serving) -> int:
    return httpx.get(f"{service.url}/readyz").status_code


def test_a_request_that_is_on_its_way_is_answered_after_the_port_has_closed(data):
    with serving(data, drain_s=5, server_processes=1) as service:
        body = picture()
        connection = socket.create_connection(("127.0.0.1", service.port), 10.0)
        with connection:
            connection.sendall(
                f"POST {CLASSIFICATION}/classify HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body[:10]
            )
            service.process.send_signal(signal.SIGTERM)
            until(lambda: _is_closed(service.port))
            connection.sendall(body[10:])
            assert b"HTTP/1.1 200 " in read_to_end(connection)
        assert service.process.wait(20) == 0


def _is_closed(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False


def test_a_worker_that_dies_is_replaced_and_none_outlives_the_process_that_listens(data):
    with serving(data) as service:
        first = {worker.pid for worker in service.workers()}
        assert len(first) == 2
        service.workers()[0].kill()
        until(lambda: len({w.pid for w in service.workers()} - first) == 1)
        until(service.is_ready)
        for _ in range(10):
            reply = httpx.post(f"{service.url}/classify", content=picture())
            assert reply.status_code == 200
        workers = service.workers()
        service.process.kill()
        service.process.wait()
        until(lambda: not any(worker.is_running() for worker in workers))
