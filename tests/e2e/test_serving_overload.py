"""More is asked than can be answered: what can be is, and the rest is told when to come again."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from commons.adapters.decode import DECODER
from commons.adapters.services import CLASSIFICATION
from commons.network_card import Preprocessing
from tests.onnx_builders import costly
from tests.serving_processes import Serving, picture, promote, serving

pytestmark = pytest.mark.e2e
_CLIENTS = 24
_CONNECTIONS = 900


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Serving]:
    data: Path = tmp_path_factory.mktemp("overload")
    shape = (64, 64, 1)
    promote(
        data,
        costly(shape),
        preprocessing=Preprocessing(shape=shape, resize="fit", decoder=DECODER),
    )
    with serving(data, most_waiting=4, cached_answers=0) as started:
        yield started


def test_what_is_too_much_is_refused_at_once_and_the_rest_is_answered(service):
    body = picture()
    over = threading.Event()
    refusals: list[httpx.Response] = []

    def ask() -> Counter[int]:
        seen: Counter[int] = Counter()
        with httpx.Client() as client:
            while not over.is_set():
                reply = client.post(f"{service.url}/classify", content=body)
                seen[reply.status_code] += 1
                if reply.status_code == 503:
                    refusals.append(reply)
        return seen

    with ThreadPoolExecutor(_CLIENTS) as pool:
        asking = [pool.submit(ask) for _ in range(_CLIENTS)]
        with httpx.Client() as watcher:
            for _ in range(20):
                assert watcher.get(f"{service.url}/healthz").is_success
        over.wait(2.0)
        over.set()
        seen = sum((one.result(30) for one in asking), Counter())
    assert set(seen) == {200, 503}
    assert seen[200] > 20
    for reply in refusals:
        assert reply.json()["type"] == "overloaded"
        assert int(reply.headers["Retry-After"]) >= 1
    # Nothing of it is left.
    for _ in range(5):
        assert httpx.post(f"{service.url}/classify", content=body).status_code == 200


def test_more_connections_than_workers_can_take_at_once_lose_no_request(service):
    body = picture()
    path = f"{CLASSIFICATION}/classify"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with ExitStack() as opened:
        # More than the channels to workers hold that are busy with something else.
        for worker in service.workers():
            worker.suspend()
            opened.callback(worker.resume)
        connections = [
            opened.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            for _ in range(_CONNECTIONS)
        ]
        for connection in connections:
            connection.sendall(head.encode() + body)
        time.sleep(0.5)
        for worker in service.workers():
            worker.resume()
        statuses = Counter(connection.recv(64).split()[1] for connection in connections)
    assert statuses[b"200"] > 0
    assert statuses[b"200"] + statuses[b"503"] == _CONNECTIONS


def test_what_comes_too_late_for_its_client_is_not_begun(service):
    body = picture()
    headers = {"X-Request-Timeout-Ms": "0.01"}
    reply = httpx.post(f"{service.url}/classify", content=body, headers=headers)
    assert reply.status_code == 504
    assert reply.json()["type"] == "deadline-passed"
    headers = {"X-Request-Timeout-Ms": "20000"}
    assert httpx.post(f"{service.url}/classify", content=body, headers=headers).is_success
