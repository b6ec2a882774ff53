"""Clients that behave badly, all at once: they are told so, and the others notice nothing."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from commons.adapters.services import CLASSIFICATION
from tests.dicebox_processes import until
from tests.hostile import short_png
from tests.http_hosts import read_reply, read_to_end
from tests.serving_processes import Serving, picture, promote, serving

pytestmark = pytest.mark.e2e
MOST_BYTES = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Serving]:
    data: Path = tmp_path_factory.mktemp("clients")
    promote(data)
    with serving(data, max_body_bytes=MOST_BYTES, cached_answers=0) as started:
        yield started


def head(*headers: str) -> bytes:
    lines = [f"POST {CLASSIFICATION}/classify HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def connected(service: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), 30.0)


def good_client(service: Serving, over: threading.Event) -> list[float]:
    """Return the seconds of each answer, all of them right."""
    took: list[float] = []
    body = picture()
    with httpx.Client() as client:
        while not (took and over.is_set()):
            started = time.monotonic()
            reply = client.post(f"{service.url}/classify", content=body)
            took.append(time.monotonic() - started)
            assert reply.status_code == 200, reply.text
            assert reply.json()["answers"][0]["category"]["name"] == "bright"
    return took


@pytest.fixture
def meanwhile(service) -> Iterator[list[float]]:
    """Have a good client ask all the while; none of its requests may fail or hang."""
    over, took = threading.Event(), []
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(good_client, service, over)
        try:
            yield took
        finally:
            over.set()
            took += asking.result(30)
    assert max(took) < 5.0


def test_figures_are_those_of_all_processes(service):
    # The first test of this service: nobody has asked for anything yet.
    def figure(pattern: str) -> float:
        text = httpx.get(f"{service.url}/metrics").text
        found = re.search(rf"^{pattern} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    requests = r'dicebox_requests_total\{method="POST",route="[^"]*/classify",[^}]*status="200"\}'
    events = r'dicebox_events_total\{event="classification",[^}]*\}'
    images = r"dicebox_batch_images_sum\{[^}]*\}"
    fast = r'dicebox_request_seconds_count\{method="POST",route="[^"]*/classify",[^}]*\}'
    names = (requests, events, images, fast)
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(lambda _: httpx.post(f"{service.url}/classify", content=picture()), range(100))
        )
    # A process writes down what it counted a few times a second.
    until(lambda: figure(fast) >= 100.0)
    assert [figure(name) for name in names] == [100.0] * 4
    assert figure(r"dicebox_queue_images\{[^}]*\}") == 0.0
    assert 'le="0.0001"' in httpx.get(f"{service.url}/metrics").text


def test_what_is_no_request_is_in_the_figures_whichever_process_it_reached(service):
    for _ in range(20):
        with connected(service) as connection:
            connection.sendall(b"no request\r\n\r\n")
            assert read_reply(connection)[0] == 400
    counted = r'^dicebox_refusals_total\{kind="bad-request",[^}]*status="400"\} 20.0$'
    texts = [httpx.get(f"{service.url}/metrics").text for _ in range(4)]
    assert [bool(re.search(counted, text, re.MULTILINE)) for text in texts] == [True] * 4


@pytest.mark.usefixtures("meanwhile")
def test_sixty_four_clients_that_never_finish_their_bodies_hold_nobody_up(service):
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(service)) for _ in range(64)]
        for connection in slow:
            connection.sendall(head("Content-Length: 1000") + b"x" * 100)
        for _ in range(20):
            assert httpx.get(f"{service.url}/healthz").is_success


@pytest.mark.usefixtures("meanwhile")
def test_a_hundred_megabytes_are_refused_in_bounded_memory(service):
    before = sum(worker.memory_info().rss for worker in service.workers())
    with connected(service) as connection:
        connection.sendall(head("Content-Length: 100000000"))
        status, headers, said, _ = read_reply(connection)
        assert (status, headers["content-type"]) == (413, "application/problem+json")
        assert b"too-large" in said
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: _send_chunks(service, 100), range(8)))
    assert set(sent) == {413}
    after = sum(worker.memory_info().rss for worker in service.workers())
    assert after - before < 100e6


def _send_chunks(service: Serving, megabytes: int) -> int:
    part = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with connected(service) as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        with contextlib.suppress(ConnectionError):  # it may be cut off when it goes on for ever
            for _ in range(megabytes):
                connection.sendall(part)
        return read_reply(connection)[0]


@pytest.mark.usefixtures("meanwhile")
def test_floods_of_headers_are_refused(service):
    for headers in ([f"X-{number}: y" for number in range(10_000)], ["X: " + "y" * 1_000_000]):
        with connected(service) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(head(*headers))
            assert read_reply(connection)[0] == 431


@pytest.mark.usefixtures("meanwhile")
def test_large_pictures_and_bombs_do_not_stop_small_ones(service):
    large = picture(255, (2500, 2500))
    with ThreadPoolExecutor(6) as pool:
        replies = list(
            pool.map(
                lambda number: (
                    httpx.post(
                        f"{service.url}/classify",
                        content=large if number % 2 else short_png(30_000, 30_000),
                        timeout=60.0,
                    ).status_code
                ),
                range(12),
            )
        )
    assert replies == [413, 200] * 6


def test_a_half_closed_connection_gets_its_answer(service):
    body = picture()
    with connected(service) as connection:
        connection.sendall(head(f"Content-Length: {len(body)}") + body)
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")


def test_clients_that_go_away_leave_nothing_behind(service):
    for _ in range(50):
        with connected(service) as connection:
            connection.sendall(head("Content-Length: 1000") + b"x")
    with httpx.Client() as client:
        for _ in range(10):
            reply = client.post(f"{service.url}/classify", content=picture())
            assert reply.status_code == 200


def test_memory_stays_as_it_is(service):
    body = picture(100, (20, 20))

    def ask(times: int) -> int:
        with connected(service) as one, connected(service) as other:
            request = head(f"Content-Length: {len(body)}") + body
            for _ in range(times):
                for connection in (one, other):
                    connection.sendall(request)
                    assert read_reply(connection)[0] == 200
        return sum(worker.memory_info().rss for worker in service.workers())

    before = ask(500)
    assert ask(2000) - before < 8e6
    assert max(worker.memory_info().rss for worker in service.workers()) < 250e6
