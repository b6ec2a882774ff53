"""All connections of a process: who is answered when, and what ends them.

What the hot route asks of networks is collected while the loop reads what has come, and answered
in the next turn, so that what waits is answered together and nobody waits for others to come.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, Protocol

from classification_service.adapters.http_connection import HttpConnection
from classification_service.adapters.http_head import Head
from classification_service.adapters.http_limits import Limits
from classification_service.adapters.http_reader import Request
from classification_service.adapters.http_replies import Dated, refusal, short_reply
from classification_service.adapters.wsgi_bridge import WsgiBridge
from commons.errors import DiceboxError, UnavailableError

_SWEEP_S = 0.25
# Others are read between two turns of at most about this much work.
_TURN = 32


class HotRoute(Protocol):
    """The route that is answered without a thread of its own.

    An errand is a request in its hands, with a `request_id`, a `reply` (status, kind of content,
    body, headers) once there is one, and `give_up()` for when nobody waits any more.
    """

    def takes(self, method: str, path: str, content_type: str) -> bool:
        """Say whether a request is for this route."""
        ...

    def errand(self, environ: dict[str, Any], body: bytes) -> Any:
        """Return a request that has come whole."""
        ...

    def begin(self, errand: Any) -> Literal["reply", "answer", "submit", "wait"]:
        """Begin without waiting, and say what comes next."""
        ...

    def begin_waiting(self, errand: Any) -> Literal["reply", "answer", "submit", "wait"]:
        """Begin in a thread that may wait."""
        ...

    def answer(self, errands: Sequence[Any]) -> None:
        """Answer some at once."""
        ...

    def submit(self, errand: Any, done: Callable[[], object]) -> None:
        """Have one answered by another thread, which calls `done`."""
        ...

    def finish(self, errand: Any) -> None:
        """Make its reply."""
        ...

    def write_figures(self) -> None:
        """Write down what was counted; called a few times a second."""
        ...


class NoHotRoute:
    """`HotRoute` of a service that has not begun: its views answer everything."""

    def takes(self, method: str, path: str, content_type: str) -> bool:
        """Say no; so none of the others is ever called, but `write_figures`."""
        return False

    def errand(self, environ: dict[str, Any], body: bytes) -> Any:
        """Return nothing."""

    def begin(self, errand: Any) -> Literal["reply", "answer", "submit", "wait"]:
        """Have nothing sent."""
        return "reply"

    begin_waiting = begin

    def answer(self, errands: Sequence[Any]) -> None:
        """Do nothing."""

    def submit(self, errand: Any, done: Callable[[], object]) -> None:
        """Do nothing."""

    def finish(self, errand: Any) -> None:
        """Do nothing."""

    def write_figures(self) -> None:
        """Do nothing."""


class HttpHost:
    """Serves the connections that it is given.

    Args:
        loop: Runs everything here but the threads' work.
        hot: The hot route.
        views: All other routes.
        most_bytes: Says how large a body may be, by its path.
        limits: What clients may take.
        count: Told status and kind of every refusal that neither route gave.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        hot: HotRoute,
        views: WsgiBridge,
        most_bytes: Callable[[str], int],
        limits: Limits = Limits(),  # noqa: B008 - frozen
        count: Callable[[int, str], object] = lambda status, kind: None,
    ) -> None:
        self.loop = loop
        self.hot = hot
        self.most_bytes = most_bytes
        self.limits = limits
        self.body_bytes = 0
        self.is_draining = False
        self._count = count
        self._views = views
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="asking")
        self._connections: set[HttpConnection] = set()
        self._waiting: list[tuple[HttpConnection, Request, Any]] = []
        self._dated = Dated()
        self._dated.refresh()

    def open(self, hot: HotRoute, count: Callable[[int, str], object]) -> None:
        """Have a hot route from the next request on, and refusals counted; on the loop's thread."""
        self.hot, self._count = hot, count

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connection that was accepted elsewhere."""
        connection.setblocking(False)
        if len(self._connections) >= self.limits.connections:
            error = UnavailableError("too many connections are open", kind="overloaded")
            with connection:
                connection.send(self.refusal(error))
            return
        await self.loop.connect_accepted_socket(lambda: HttpConnection(self), connection)

    async def sweep(self) -> None:
        """End what takes too long, for ever."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._dated.refresh()
            self.hot.write_figures()
            now = self.loop.time()
            for connection in list(self._connections):
                connection.check(now)

    def end(self) -> None:
        """End every connection at once."""
        for connection in list(self._connections):
            connection.abort()

    def refusal(self, error: DiceboxError | int, detail: str = "") -> bytes:
        """Return and count the reply to what neither route will answer.

        Args:
            error: Our own, or a status that only HTTP itself knows.
            detail: What was expected and what came, with a status.
        """
        said = refusal(error, detail, self._dated.line)
        self._count(said.status, said.kind)
        return said.reply

    def is_hot(self, head: Head) -> bool:
        """Say whether a request is for the hot route."""
        return self.hot.takes(head.method, head.path, head.content_type)

    def add(self, connection: HttpConnection) -> None:
        """Count a connection."""
        self._connections.add(connection)

    def remove(self, connection: HttpConnection) -> None:
        """Count it no more."""
        self._connections.discard(connection)

    def has_no_room_for(self, size: int) -> UnavailableError | None:
        """Return what a request is told whose body finds no room beside the others."""
        if self.body_bytes + size <= self.limits.bodies_bytes:
            return None
        return UnavailableError("too much is on its way already", kind="overloaded")

    def answer(self, connection: HttpConnection, request: Request) -> None:
        """Have a request answered; its reply goes to the connection sooner or later."""
        if not request.is_hot:
            self._views.serve(self, connection, request)
        elif request.body.is_in_memory:
            self._begin(connection, request, request.body.read())
        else:
            self._threads.submit(self._read_and_begin, connection, request)

    def _read_and_begin(self, connection: HttpConnection, request: Request) -> None:
        data = request.body.read()
        self.loop.call_soon_threadsafe(self._begin, connection, request, data)

    def _begin(self, connection: HttpConnection, request: Request, data: bytes) -> None:
        if connection.is_lost or request.head is None:
            return
        errand = self.hot.errand(request.head.environ, data)
        connection.errand = errand
        self._go_on(connection, request, errand, self.hot.begin(errand))

    def _go_on(
        self,
        connection: HttpConnection,
        request: Request,
        errand: Any,
        step: Literal["reply", "answer", "submit", "wait"],
    ) -> None:
        if step == "answer":
            if not self._waiting:
                self.loop.call_soon(self._flush)
            self._waiting.append((connection, request, errand))
        elif step == "submit":
            settle = partial(self._settle, connection, request, errand)
            self.hot.submit(errand, partial(self.loop.call_soon_threadsafe, settle))
        elif step == "wait":
            self._threads.submit(self._wait, connection, request, errand)
        else:
            self._send(connection, request, errand)

    def _wait(self, connection: HttpConnection, request: Request, errand: Any) -> None:
        step = self.hot.begin_waiting(errand)
        self.loop.call_soon_threadsafe(self._go_on, connection, request, errand, step)

    def _flush(self) -> None:
        """Answer what waits; if that is much, others are read in between."""
        turn, self._waiting = self._waiting[:_TURN], self._waiting[_TURN:]
        if self._waiting:
            self.loop.call_soon(self._flush)
        self.hot.answer([errand for _, _, errand in turn])
        for connection, request, errand in turn:
            self._send(connection, request, errand)

    def _settle(self, connection: HttpConnection, request: Request, errand: Any) -> None:
        self.hot.finish(errand)
        self._send(connection, request, errand)

    def _send(self, connection: HttpConnection, request: Request, errand: Any) -> None:
        if connection.is_lost or errand.reply is None or request.head is None:
            return
        self.free(request)
        closes = connection.closes_after(request.head)
        status, kind, body, headers = errand.reply
        date = self._dated.line
        said = short_reply(status, kind, body, headers, errand.request_id, date, closes=closes)
        connection.reply(said, closes=closes)

    def free(self, request: Request) -> None:
        """Give back what the body of a request takes."""
        self.body_bytes -= request.body.size
        request.body.close()
        request.body.size = 0
