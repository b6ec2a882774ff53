"""The HTTP side of the classification service alone, on a real socket, with what it needs faked."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop

from classification_service.adapters.http_host import HttpHost
from classification_service.adapters.http_limits import Limits
from classification_service.adapters.wsgi_bridge import WsgiBridge


@dataclass
class FakeErrand:
    environ: dict[str, Any]
    body: bytes
    request_id: str = "id-1"
    reply: tuple[int, str, bytes, dict[str, str]] | None = None
    given_up: bool = False

    def give_up(self) -> None:
        self.given_up = True


@dataclass
class EchoRoute:
    """Answers `POST /hot` with its body; `?step=` says by which way."""

    batches: list[int] = field(default_factory=list)
    errands: list[FakeErrand] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def takes(self, method: str, path: str, content_type: str) -> bool:
        return (method, path) == ("POST", "/hot")

    def errand(self, environ: dict[str, Any], body: bytes) -> FakeErrand:
        self.errands.append(FakeErrand(environ, body))
        return self.errands[-1]

    def begin(self, errand: FakeErrand) -> str:
        step = errand.environ["QUERY_STRING"].removeprefix("step=") or "answer"
        if step == "reply":
            self.finish(errand)
        return step

    def begin_waiting(self, errand: FakeErrand) -> str:
        return "answer"

    def answer(self, errands: list[FakeErrand]) -> None:
        self.batches.append(len(errands))
        for errand in errands:
            self.finish(errand)

    def submit(self, errand: FakeErrand, done: Callable[[], object]) -> None:
        def work() -> None:
            self.gate.wait(10)
            done()

        threading.Thread(target=work).start()

    def write_figures(self) -> None:
        return None

    def finish(self, errand: FakeErrand) -> None:
        if not errand.given_up:
            errand.reply = (200, "application/json", errand.body, {})


@dataclass
class Served:
    """A host in a thread, and where it listens."""

    host: HttpHost
    route: EchoRoute
    port: int
    refusals: list[tuple[int, str]]
    views: WsgiBridge

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10.0)


def no_views(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"none"]


@contextmanager
def served(
    app=no_views,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    most_bytes: int = 1000,
    most_waiting: int = 256,
    most_stalled: int = 128,
) -> Iterator[Served]:
    """Serve on a free port until the block ends."""
    ready: list[Served] = []
    started, ended = threading.Event(), threading.Event()
    route = EchoRoute()
    refusals: list[tuple[int, str]] = []
    views = WsgiBridge(app, threads=2, most_waiting=most_waiting, most_stalled=most_stalled)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        host = HttpHost(
            loop,
            route,
            views,
            lambda path: most_bytes,
            limits,
            count=lambda status, kind: refusals.append((status, kind)),
        )
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        ready.append(Served(host, route, listener.getsockname()[1], refusals, views))
        started.set()
        sweeping = loop.create_task(host.sweep())
        accepting = loop.create_task(_accept(host, listener))
        while not ended.is_set():
            await asyncio.sleep(0.01)
        accepting.cancel()
        sweeping.cancel()
        listener.close()
        host.end()
        while host.open_connections:
            await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: uvloop.run(run()))
    thread.start()
    assert started.wait(10)
    try:
        yield ready[0]
    finally:
        route.gate.set()
        ended.set()
        thread.join(10)


async def _accept(host: HttpHost, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        await host.adopt(connection)


def post(body: bytes, query: str = "", *headers: str) -> bytes:
    """Return a request to the hot route."""
    lines = [f"POST /hot{query} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_reply(
    connection: socket.socket, rest: bytes = b""
) -> tuple[int, dict[str, str], bytes, bytes]:
    """Return status, headers and body of the next reply, and what came behind it."""
    while b"\r\n\r\n" not in rest:
        part = connection.recv(65536)
        assert part, f"the connection ended within a head: {rest!r}"
        rest += part
    head, _, rest = rest.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if first.startswith("HTTP/1.1 1"):
        return int(first.split()[1]), headers, b"", rest
    size = int(headers.get("content-length", "0"))
    while len(rest) < size:
        part = connection.recv(65536)
        assert part, "the connection ended within a body"
        rest += part
    return int(first.split()[1]), headers, rest[:size], rest[size:]


def read_to_end(connection: socket.socket) -> bytes:
    """Return all that comes until the other side has ended."""
    data = b""
    while part := connection.recv(65536):
        data += part
    return data
