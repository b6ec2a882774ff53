"""One connection: requests in, replies out, in order, whatever the other side does.

A strict parser (llhttp) takes requests apart. What comes too slowly, too long or makes no sense
is told so and the connection ends; a request is answered when it has come whole, so that a slow
client holds no thread. Requests of the hot route that have the head of the one before them are
known by it and not parsed again.
"""

import asyncio
import logging
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

import httptools

from classification_service.adapters.http_body import Body
from classification_service.adapters.http_head import Head, parsed_head
from classification_service.adapters.http_replies import CONTINUE, refusal
from commons.errors import DiceboxError, InvalidInputError, SlowRequestError, TooLargeError

if TYPE_CHECKING:
    from classification_service.adapters.http_host import HttpHost

_LOG = logging.getLogger(__name__)
_IDLE, _HEAD, _BODY = range(3)
_MOST_MEMO_BYTES = 2048
_MOST_PIPELINED = 16
_TOO_LARGE_HEAD = 431


class Request:
    """A request that has come whole; a refusal takes its place where none could."""

    __slots__ = ("body", "head", "is_hot", "refusal")

    def __init__(
        self, head: Head | None, body: Body, *, is_hot: bool, refusal: bytes = b""
    ) -> None:
        self.head = head
        self.body = body
        self.is_hot = is_hot
        self.refusal = refusal


class HttpConnection(asyncio.Protocol):
    """A connection of a host; the host's loop calls everything here."""

    def __init__(self, host: "HttpHost") -> None:
        self._host = host
        self._limits = host.limits
        self._parser = httptools.HttpRequestParser(self)
        self._transport = cast(asyncio.Transport, None)
        self._peer = ""
        self._own = ("", 0)
        self._state = _IDLE
        self._since = host.loop.time()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._head: Head | None = None
        self._is_hot = False
        self._most_bytes = 0
        self._body = Body()
        self._queue: deque[Request] = deque()
        self._present: Request | None = None
        self._is_advancing = False
        self._is_deaf = False
        self._is_last = False
        self._is_lingering = False
        self._is_half_closed = False
        self._discarded = 0
        self._memo: tuple[bytes, Head] | None = None
        self._paused_at: float | None = None
        self._writers: list[Future[None]] = []
        self.errand: Any = None
        self.is_lost = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = str((transport.get_extra_info("peername") or ("",))[0])
        own = transport.get_extra_info("sockname") or ("", 0)
        self._own = (str(own[0]), int(own[1]))
        self._host.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; whoever worked for this connection need not."""
        self.is_lost = True
        self._host.remove(self)
        self._host.body_bytes -= self._body.size
        self._body.close()
        for request in self._queue:
            self._host.free(request)
        self._queue.clear()
        if self._present is not None and self._present.is_hot:
            self._host.free(self._present)
        if self.errand is not None:
            self.errand.give_up()
            self.errand = None
        self._release_writers()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._is_deaf:
            self._discard(len(data))
            return
        memo = self._memo
        is_fresh = self._state == _IDLE and self._present is None and not self._queue
        if memo is not None and is_fresh and data.startswith(memo[0]):
            raw, head = memo
            if len(data) - len(raw) == head.length:
                body = Body()
                body.add(data[len(raw) :])
                self._host.body_bytes += body.size
                self._queue.append(Request(head, body, is_hot=True))
                self._advance()
                return
        self._feed(data)
        if is_fresh:
            self._remember(data)
        if self._queue:
            self._advance()

    def eof_received(self) -> bool:
        """Go on for as long as there is something to answer: the other side may still listen."""
        self._is_half_closed = True
        return self._present is not None or bool(self._queue)

    def pause_writing(self) -> None:
        """Note that the other side does not read."""
        self._paused_at = self._host.loop.time()

    def resume_writing(self) -> None:
        """Let those go on who write."""
        self._paused_at = None
        self._release_writers()

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._state = _HEAD
        self._since = self._host.loop.time()
        self._url = b""
        self._headers = []
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name, value))
        self._head_bytes += len(name) + len(value)
        if len(self._headers) > self._limits.headers or self._head_bytes > self._limits.head_bytes:
            self._refuse_head()

    def on_headers_complete(self) -> None:
        """Look at a head that has come whole."""
        if self._is_deaf:
            return
        try:
            head = parsed_head(
                self._parser.get_method(),
                self._url,
                self._parser.get_http_version(),
                self._headers,
                self._peer,
                self._own,
                is_kept_alive=self._parser.should_keep_alive(),
            )
        except InvalidInputError as error:
            self._refuse(error)
            return
        self._state = _BODY
        self._head = head
        self._most_bytes = self._host.most_bytes(head.path)
        self._is_hot = self._host.hot.takes(head.method, head.path, head.content_type)
        if head.length is not None and head.length > self._most_bytes:
            self._refuse_body(f"{head.length:,}")
        elif head.expects_continue and self._present is None:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._is_deaf:
            return
        if self._body.size + len(body) > self._most_bytes:
            self._refuse_body("more")
            return
        full = self._host.has_no_room_for(len(body))
        if full is not None:
            self._refuse(full)
            return
        self._body.add(body)
        self._host.body_bytes += len(body)

    def on_message_complete(self) -> None:
        """Take a request that has come whole."""
        if self._is_deaf or self._head is None:
            return
        self._queue.append(Request(self._head, self._body, is_hot=self._is_hot))
        self._body = Body()
        self._head = None
        self._state = _IDLE

    # What the host calls

    def reply(self, data: bytes, *, closes: bool) -> None:
        """Send the whole reply to the present request, or the last of it."""
        if self.is_lost:
            return
        self.errand = None
        self._present = None
        self._since = self._host.loop.time()
        self._transport.write(data)
        if closes or (self._is_half_closed and not self._queue):
            self._is_deaf = True
            self._transport.close()
        elif self._queue:
            self._advance()
        elif self._is_paused_reading():
            self._transport.resume_reading()

    def write(self, data: bytes, written: "Future[None]") -> None:
        """Send a part of a reply; `written` is settled when there is room for more."""
        if self.is_lost:
            written.set_result(None)
            return
        self._transport.write(data)
        if self._paused_at is None:
            written.set_result(None)
        else:
            self._writers.append(written)

    def abort(self) -> None:
        """End at once: a reply that was begun cannot be finished."""
        if not self.is_lost:
            self._transport.abort()

    def closes_after(self, head: Head) -> bool:
        """Say whether the connection ends with the reply to this request."""
        return self._host.is_draining or self._is_last or not head.is_kept_alive

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked or answered."""
        return self._state == _IDLE and self._present is None and not self._queue

    def check(self, now: float) -> None:
        """End what takes too long."""
        limits, waited = self._limits, now - self._since
        if self._transport.is_closing():
            if waited > limits.write_s:
                self.abort()
        elif self._paused_at is not None and now - self._paused_at > limits.write_s:
            self.abort()
        elif self._is_lingering:
            if waited > limits.linger_s:
                self.abort()
        elif self._state == _HEAD and waited > limits.head_s:
            self._refuse(SlowRequestError(f"the head did not come within {limits.head_s:g} s"))
        elif self._state == _BODY:
            allowed = limits.body_s + self._body.size / limits.body_bytes_per_s
            if waited > allowed:
                self._refuse(SlowRequestError(f"the body did not come within {allowed:.0f} s"))
        elif self.is_idle and waited > (
            limits.drain_idle_s if self._host.is_draining else limits.idle_s
        ):
            self._transport.close()

    # The rest

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nobody is upgraded here; what follows would be of a protocol that is not spoken.
            self._is_deaf = True
            self._is_last = True
        except httptools.HttpParserError as error:
            if not self._is_deaf:
                detail = f"expected an HTTP/1.1 request, got something else ({error})"
                self._refuse(InvalidInputError(detail, kind="bad-request"))
        if self._state == _HEAD and not self._is_deaf:
            self._head_bytes += len(data)
            if self._head_bytes > 2 * self._limits.head_bytes:
                self._refuse_head()

    def _remember(self, data: bytes) -> None:
        """Keep the head of a hot request that came in one piece, to know the next one by it."""
        if len(self._queue) != 1 or self._state != _IDLE or self._is_deaf:
            return
        request = self._queue[0]
        head = request.head
        if not request.is_hot or head is None or not head.length or head.expects_continue:
            return
        size = len(data) - head.length
        if 0 < size <= _MOST_MEMO_BYTES and head.is_kept_alive:
            self._memo = (data[:size], head)

    def _advance(self) -> None:
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._queue and self._present is None and not self.is_lost:
                request = self._queue.popleft()
                if request.refusal:
                    self._end_with(request.refusal)
                    return
                self._present = request
                self._host.answer(self, request)
        finally:
            self._is_advancing = False
        if len(self._queue) > _MOST_PIPELINED and not self._is_paused_reading():
            self._transport.pause_reading()

    def _is_paused_reading(self) -> bool:
        return not self._transport.is_reading() and not self._transport.is_closing()

    def _refuse_head(self) -> None:
        detail = (
            f"expected at most {self._limits.headers} headers with {self._limits.head_bytes:,} "
            "bytes, got more"
        )
        self._refuse_with(refusal(_TOO_LARGE_HEAD, detail, self._host.date()))

    def _refuse_body(self, got: str) -> None:
        self._refuse(
            TooLargeError(f"expected a body of at most {self._most_bytes:,} bytes, got {got}")
        )

    def _refuse(self, error: DiceboxError) -> None:
        self._refuse_with(refusal(error, date=self._host.date()))

    def _refuse_with(self, said: bytes) -> None:
        """Answer in its turn what will not be read on; nothing after it is looked at."""
        if self._is_deaf:
            return
        self._is_deaf = True
        self._host.body_bytes -= self._body.size
        self._body.close()
        self._body = Body()
        self._state = _IDLE
        self._queue.append(Request(None, self._body, is_hot=False, refusal=said))
        self._advance()

    def _end_with(self, said: bytes) -> None:
        # A socket that is closed with bytes unread takes the reply back: they are read on.
        self._transport.write(said)
        if self._is_half_closed or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._is_lingering = True
        self._since = self._host.loop.time()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self._limits.linger_bytes:
            self.abort()

    def _release_writers(self) -> None:
        writers, self._writers = self._writers, []
        for written in writers:
            written.set_result(None)
