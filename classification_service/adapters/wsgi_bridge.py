"""All routes but the hot one: a WSGI application in threads, behind the event loop."""

import logging
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from classification_service.adapters.http_connection import HttpConnection
from classification_service.adapters.http_head import Head
from classification_service.adapters.http_reader import Request
from classification_service.adapters.http_replies import Dated, head
from commons.errors import UnavailableError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from classification_service.adapters.http_host import HttpHost

_LOG = logging.getLogger(__name__)
_PART_BYTES = 256 * 1024
_STALLED_S = 60.0
_NO_CONTENT = frozenset({204, 304})


class WsgiBridge:
    """Runs an application for requests that have come whole.

    Args:
        app: The application.
        threads: How many requests it answers at once.
        most_waiting: How many more may wait for a thread; the others get 503.
    """

    def __init__(self, app: "WSGIApplication", threads: int = 8, most_waiting: int = 256) -> None:
        self._app = app
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="view")
        self._most = threads + most_waiting
        self._inside = 0

    def serve(self, host: "HttpHost", connection: HttpConnection, request: Request) -> None:
        """Have a request answered by a thread; the host's loop frees its body then."""
        if request.head is None:
            return
        if self._inside >= self._most:
            host.free(request)
            error = UnavailableError("too many requests wait already", kind="overloaded")
            connection.reply(host.refusal(error), closes=True)
            return
        self._inside += 1
        closes = connection.closes_after(request.head)
        self._threads.submit(
            self._run, host.loop, connection, request, request.head, closes, host.free
        )

    def _run(
        self,
        loop: AbstractEventLoop,
        connection: HttpConnection,
        request: Request,
        asked: Head,
        closes: bool,
        free: Callable[[Request], None],
    ) -> None:
        answer = _Answer(loop, connection, asked, closes=closes)
        try:
            if not connection.is_lost:
                answer.send(self._app(_environ(request, asked), answer.start))
        except Exception:
            # The outermost loop of the thread: the application answers its own errors.
            _LOG.exception("a request could not be answered")
            loop.call_soon_threadsafe(connection.abort)
        finally:
            loop.call_soon_threadsafe(self._leave, request, free)

    def _leave(self, request: Request, free: Callable[[Request], None]) -> None:
        self._inside -= 1
        free(request)


class _Answer:
    """What an application answers, on its way to the connection."""

    def __init__(
        self, loop: AbstractEventLoop, connection: HttpConnection, asked: Head, *, closes: bool
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._asked = asked
        self._closes = closes
        self._status = 0
        self._headers: list[tuple[str, str]] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take status and headers: WSGI's `start_response`."""
        self._status = int(status.partition(" ")[0])
        self._headers = [(name.lower(), value) for name, value in headers]
        return _refuse_to_write

    def send(self, parts: Iterable[bytes]) -> None:
        """Send the body: at once if it is short, else as fast as the client takes it."""
        try:
            begun, rest, is_all = _beginning(iter(parts))
            has_body = self._asked.method != "HEAD" and self._status not in _NO_CONTENT
            is_chunked = self._say_length(begun, is_all=is_all, has_body=has_body)
            dated = Dated()
            dated.refresh()
            said = head(self._status, self._headers, dated.line, closes=self._closes)
            if not has_body:
                self._end(said)
            elif is_all and len(begun) <= _PART_BYTES:
                self._end(said + begun)
            else:
                self._write(said)
                for part in _parts(begun, rest):
                    self._write(b"%x\r\n%b\r\n" % (len(part), part) if is_chunked else part)
                self._end(b"0\r\n\r\n" if is_chunked else b"")
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _say_length(self, begun: bytes, *, is_all: bool, has_body: bool) -> bool:
        """Add what is missing to the headers; say whether the body goes in chunks."""
        if not has_body or any(name == "content-length" for name, _ in self._headers):
            return False
        if is_all:
            self._headers.append(("content-length", str(len(begun))))
            return False
        if self._asked.environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            self._closes = True
            return False
        self._headers.append(("transfer-encoding", "chunked"))
        return True

    def _write(self, data: bytes) -> None:
        written: Future[None] = Future()
        self._loop.call_soon_threadsafe(self._connection.write, data, written)
        written.result(_STALLED_S)
        if self._connection.is_lost:
            raise ConnectionResetError("the client has gone")

    def _end(self, data: bytes) -> None:
        connection, closes = self._connection, self._closes
        self._loop.call_soon_threadsafe(lambda: connection.reply(data, closes=closes))


def _beginning(parts: Iterator[bytes]) -> tuple[bytes, Iterator[bytes], bool]:
    """Return what comes first, the rest, and whether there is none."""
    begun: list[bytes] = []
    size = 0
    for part in parts:
        begun.append(part)
        size += len(part)
        if size > _PART_BYTES:
            return b"".join(begun), parts, False
    return b"".join(begun), iter(()), True


def _parts(begun: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    for data in (begun, *()):
        for at in range(0, len(data), _PART_BYTES):
            yield data[at : at + _PART_BYTES]
    for data in rest:
        for at in range(0, len(data), _PART_BYTES):
            yield data[at : at + _PART_BYTES]


def _environ(request: Request, asked: Head) -> dict[str, Any]:
    return {
        **asked.environ,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": request.body.stream(),
        # It has come whole: whoever reads finds its end.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _refuse_to_write(data: bytes) -> None:
    raise NotImplementedError("expected an application that returns its body")
