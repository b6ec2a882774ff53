"""One connection: requests in, replies out, in order, whatever the other side does.

What comes too slowly, too long or makes no sense is told so and the connection ends; a request
is answered when it has come whole, so that a slow client holds no thread. Requests of the hot
route that have the head of the one before them are known by it and not parsed again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from classification_service.adapters.http_body import Body
from classification_service.adapters.http_head import Head
from classification_service.adapters.http_reader import BODY, HEAD, IDLE, Request, RequestReader
from classification_service.adapters.http_replies import CONTINUE
from commons.errors import DiceboxError, SlowRequestError

if TYPE_CHECKING:
    from classification_service.adapters.http_host import HttpHost

_MOST_MEMO_BYTES = 2048
_MOST_PIPELINED = 16


class HttpConnection(asyncio.Protocol):
    """A connection of a host; the host's loop calls everything here."""

    def __init__(self, host: "HttpHost") -> None:
        self._host = host
        self._limits = host.limits
        self._reader = RequestReader(host.loop, host, self)
        self._transport = cast(asyncio.Transport, None)
        self._queue: deque[Request] = deque()
        self._present: Request | None = None
        self._is_advancing = False
        self._is_lingering = False
        self._is_half_closed = False
        self._discarded = 0
        self._memo: tuple[bytes, Head] | None = None
        self._paused_at: float | None = None
        self._go_on: Callable[[], object] | None = None
        self.errand: Any = None
        self.is_lost = False

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._reader.peer = str((transport.get_extra_info("peername") or ("",))[0])
        own = transport.get_extra_info("sockname") or ("", 0)
        self._reader.own = (str(own[0]), int(own[1]))
        self._host.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; whoever worked for this connection need not."""
        self.is_lost = True
        self._host.remove(self)
        self._reader.stop()
        for request in self._queue:
            self._host.free(request)
        self._queue.clear()
        if self._present is not None and self._present.is_hot:
            self._host.free(self._present)
        if self.errand is not None:
            self.errand.give_up()
            self.errand = None
        self._let_go_on()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        reader = self._reader
        if reader.is_deaf:
            self._discard(len(data))
            return
        memo = self._memo
        is_fresh = reader.state == IDLE and self._present is None and not self._queue
        if memo is not None and is_fresh and data.startswith(memo[0]):
            raw, head = memo
            if len(data) - len(raw) == head.length:
                body = Body()
                body.add(data[len(raw) :])
                self._host.body_bytes += body.size
                self._queue.append(Request(head, body, is_hot=True))
                self._advance()
                return
        reader.feed(data)
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
        """Let whoever writes go on."""
        self._paused_at = None
        self._let_go_on()

    # What the reader calls

    def take(self, request: Request) -> None:
        """Take a request that has come whole; it is answered in its turn."""
        self._queue.append(request)

    def refuse(self, error: DiceboxError | int, detail: str = "") -> None:
        """Answer in its turn what will not be read on; nothing after it is looked at."""
        if self._reader.is_deaf:
            return
        self._reader.stop()
        said = self._host.refusal(error, detail)
        self._queue.append(Request(None, Body(), is_hot=False, refusal=said))
        self._advance()

    def say_continue(self) -> None:
        """Have the client send a body that it asked about, unless it waits for another answer."""
        if self._present is None:
            self._transport.write(CONTINUE)

    # What the host calls

    def reply(self, data: bytes, *, closes: bool) -> None:
        """Send the whole reply to the present request, or the last of it."""
        if self.is_lost:
            return
        self.errand = None
        self._present = None
        self._reader.since = self._host.loop.time()
        self._transport.write(data)
        if closes or (self._is_half_closed and not self._queue):
            self._reader.is_deaf = True
            self._transport.close()
        elif self._queue:
            self._advance()
        elif self._is_paused_reading():
            self._transport.resume_reading()

    def write(self, data: bytes, go_on: Callable[[], object]) -> bool:
        """Send a part of a reply, and say whether there is room for more.

        If not, `go_on` is called once there is, or once the connection is lost.
        """
        if self.is_lost:
            return True
        self._transport.write(data)
        if self._paused_at is None:
            return True
        self._go_on = go_on
        return False

    def abort(self) -> None:
        """End at once: a reply that was begun cannot be finished."""
        if not self.is_lost:
            self._transport.abort()

    def closes_after(self, head: Head) -> bool:
        """Say whether the connection ends with the reply to this request."""
        return self._host.is_draining or self._reader.is_last or not head.is_kept_alive

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked or answered."""
        return self._reader.state == IDLE and self._present is None and not self._queue

    def check(self, now: float) -> None:
        """End what takes too long."""
        limits, waited = self._limits, now - self._reader.since
        if self._transport.is_closing():
            if waited > limits.write_s:
                self.abort()
        elif self._paused_at is not None and now - self._paused_at > limits.write_s:
            self.abort()
        elif self._is_lingering:
            if waited > limits.linger_s:
                self.abort()
        elif self._reader.state == HEAD and waited > limits.head_s:
            self.refuse(SlowRequestError(f"the head did not come within {limits.head_s:g} s"))
        elif self._reader.state == BODY:
            allowed = limits.body_s + self._reader.body.size / limits.body_bytes_per_s
            if waited > allowed:
                self.refuse(SlowRequestError(f"the body did not come within {allowed:.0f} s"))
        elif self.is_idle and waited > (
            limits.drain_idle_s if self._host.is_draining else limits.idle_s
        ):
            self._transport.close()

    # The rest

    def _remember(self, data: bytes) -> None:
        """Keep the head of a hot request that came in one piece, to know the next one by it."""
        if len(self._queue) != 1 or self._reader.state != IDLE or self._reader.is_deaf:
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

    def _end_with(self, said: bytes) -> None:
        # A socket that is closed with bytes unread takes the reply back: they are read on.
        self._transport.write(said)
        if self._is_half_closed or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._is_lingering = True
        self._reader.since = self._host.loop.time()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self._limits.linger_bytes:
            self.abort()

    def _let_go_on(self) -> None:
        go_on, self._go_on = self._go_on, None
        if go_on is not None:
            go_on()
