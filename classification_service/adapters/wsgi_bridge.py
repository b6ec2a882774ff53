"""All routes but the hot one: a WSGI application in threads, behind the event loop."""

import logging
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
_NO_CONTENT = frozenset({204, 304})


class WsgiBridge:
    """Runs an application for requests that have come whole.

    A thread is held for as long as the application works, and not while a client does not read.

    Args:
        app: The application.
        threads: How many requests it answers at once.
        most_waiting: How many more may wait for a thread; the others get 503.
        most_stalled: So many clients may leave a long answer unread at once; then the one that
            has not read for longest is let go.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        threads: int = 8,
        most_waiting: int = 256,
        most_stalled: int = 128,
    ) -> None:
        self._app = app
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="view")
        self._most = threads + most_waiting
        self._inside = 0
        self._most_stalled = most_stalled
        self._stalled: dict[_Answer, None] = {}

    @property
    def stalled(self) -> int:
        """How many answers wait for their clients to read."""
        return len(self._stalled)

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
        answer = _Answer(self._app, host, connection, request, request.head)
        self._threads.submit(self._step, answer)

    def _step(self, answer: "_Answer") -> None:
        """Have the next piece of an answer sent; runs in a thread."""
        then: Callable[[], object]
        try:
            if answer.connection.is_lost:
                answer.pieces.close()
                then = partial(self._leave, answer)
            else:
                then = partial(self._write, answer, next(answer.pieces))
        except StopIteration as ended:
            then = partial(self._end, answer, ended.value)
        except Exception:
            # The outermost loop of the thread: the application answers its own errors.
            _LOG.exception("a request could not be answered")
            then = partial(self._abort, answer)
        answer.host.loop.call_soon_threadsafe(then)

    # On the host's loop

    def _write(self, answer: "_Answer", piece: bytes) -> None:
        if answer.connection.write(piece, partial(self._resume, answer)):
            self._threads.submit(self._step, answer)
            return
        self._inside -= 1
        self._stalled[answer] = None
        if len(self._stalled) > self._most_stalled:
            longest = next(iter(self._stalled))
            del self._stalled[longest]
            longest.connection.abort()

    def _resume(self, answer: "_Answer") -> None:
        self._stalled.pop(answer, None)
        self._inside += 1
        self._threads.submit(self._step, answer)

    def _end(self, answer: "_Answer", piece: bytes) -> None:
        self._leave(answer)
        answer.connection.reply(piece, closes=answer.closes)

    def _abort(self, answer: "_Answer") -> None:
        self._leave(answer)
        answer.connection.abort()

    def _leave(self, answer: "_Answer") -> None:
        self._inside -= 1
        answer.host.free(answer.request)


class _Answer:
    """What an application answers, on its way to the connection."""

    def __init__(
        self,
        app: "WSGIApplication",
        host: "HttpHost",
        connection: HttpConnection,
        request: Request,
        asked: Head,
    ) -> None:
        self.host = host
        self.connection = connection
        self.request = request
        self.closes = connection.closes_after(asked)
        # Nothing runs before the first piece is asked for.
        self.pieces = self._made_by(app)
        self._asked = asked
        self._status = 0
        self._headers: list[tuple[str, str]] = []

    def _made_by(self, app: "WSGIApplication") -> Generator[bytes, None, bytes]:
        """Yield what is sent before there must be room for more; return the last of it."""
        parts = app(_environ(self.request, self._asked), self._start)
        try:
            begun, rest, is_all = _beginning(iter(parts))
            has_body = self._asked.method != "HEAD" and self._status not in _NO_CONTENT
            is_chunked = self._say_length(begun, is_all=is_all, has_body=has_body)
            dated = Dated()
            dated.refresh()
            said = head(self._status, self._headers, dated.line, closes=self.closes)
            if not has_body:
                return said
            if is_all and len(begun) <= _PART_BYTES:
                return said + begun
            yield said
            for part in _parts(begun, rest):
                yield b"%x\r\n%b\r\n" % (len(part), part) if is_chunked else part
            return b"0\r\n\r\n" if is_chunked else b""
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take status and headers: WSGI's `start_response`."""
        self._status = int(status.partition(" ")[0])
        self._headers = [(name.lower(), value) for name, value in headers]
        return _refuse_to_write

    def _say_length(self, begun: bytes, *, is_all: bool, has_body: bool) -> bool:
        """Add what is missing to the headers; say whether the body goes in chunks."""
        if not has_body or any(name == "content-length" for name, _ in self._headers):
            return False
        if is_all:
            self._headers.append(("content-length", str(len(begun))))
            return False
        if self._asked.environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            self.closes = True
            return False
        self._headers.append(("transfer-encoding", "chunked"))
        return True


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
