"""What comes on a connection, taken apart into requests as far as it makes sense.

A strict parser (llhttp) takes it apart. What is too long or makes no sense is refused, and nothing
after it is looked at.
"""

import asyncio
import os
from typing import Protocol

import httptools

from classification_service.adapters.http_body import Body
from classification_service.adapters.http_head import Head, parsed_head
from classification_service.adapters.http_limits import Limits
from commons.errors import (
    DiceboxError,
    InvalidInputError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
)

IDLE, HEAD, BODY = range(3)
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


class Rules(Protocol):
    """What holds for all connections of a process."""

    limits: Limits
    body_bytes: int

    def most_bytes(self, path: str) -> int:
        """Say how large a body may be."""
        ...

    def is_hot(self, head: Head) -> bool:
        """Say whether a request is for the hot route."""
        ...

    def has_no_room_for(self, size: int) -> UnavailableError | None:
        """Return what a request is told whose body finds no room beside the others."""
        ...


class Taker(Protocol):
    """Whoever gets what was read; in the parser's hands, so none of it may read on."""

    def take(self, request: Request) -> None:
        """Take a request that has come whole."""
        ...

    def refuse(self, error: DiceboxError | int, detail: str = "") -> None:
        """Refuse what came: an error of ours, or a status that only HTTP knows, with its why."""
        ...

    def say_continue(self) -> None:
        """Have the client send a body that it asked about."""
        ...


class RequestReader:
    """Reads what comes on one connection.

    Args:
        loop: Says what time it is.
        rules: What holds for all connections.
        taker: Gets what was read.

    Attributes:
        state: `IDLE`, or within which part of a request.
        since: When that began; whoever answers begins it anew.
        body: What has come of the present body.
        is_deaf: Nothing more is read.
        is_last: Nothing follows the request that came last.
        peer: Address of the other side.
        own: Address and port of this side.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rules: Rules, taker: Taker) -> None:
        self.state = IDLE
        self.since = loop.time()
        self.body = Body()
        self.is_deaf = False
        self.is_last = False
        self.peer = ""
        self.own = ("", 0)
        self._loop = loop
        self._rules = rules
        self._limits = rules.limits
        self._taker = taker
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._has_ended = False
        self._head: Head | None = None
        self._is_hot = False
        self._most_bytes = 0

    def feed(self, data: bytes) -> None:
        """Read what came."""
        self._has_ended = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nobody is upgraded here; what follows would be of a protocol that is not spoken.
            self.is_deaf = True
            self.is_last = True
        except httptools.HttpParserError as error:
            if not self.is_deaf:
                detail = f"expected an HTTP/1.1 request, got something else ({error})"
                self._taker.refuse(InvalidInputError(detail, kind="bad-request"))
        # Where another request ended in these bytes, nobody can say how many are of this head.
        if self.state == HEAD and not self._has_ended and not self.is_deaf:
            self._head_bytes += len(data)
            if self._head_bytes > 2 * self._limits.head_bytes:
                self._refuse_head()

    def stop(self) -> None:
        """Read nothing more, and give back what the present body takes."""
        self.is_deaf = True
        self._rules.body_bytes -= self.body.size
        self.body.close()
        self.body = Body()
        self.state = IDLE

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.state = HEAD
        self.since = self._loop.time()
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
        if self.is_deaf:
            return
        try:
            head = parsed_head(
                self._parser.get_method(),
                self._url,
                self._parser.get_http_version(),
                self._headers,
                self.peer,
                self.own,
                is_kept_alive=self._parser.should_keep_alive(),
            )
        except InvalidInputError as error:
            self._taker.refuse(error)
            return
        self.state = BODY
        self._head = head
        self._most_bytes = self._rules.most_bytes(head.path)
        self._is_hot = self._rules.is_hot(head)
        if head.length is not None and head.length > self._most_bytes:
            self._refuse_body(f"{head.length:,}")
        elif head.expects_continue:
            self._taker.say_continue()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self.is_deaf:
            return
        if self.body.size + len(body) > self._most_bytes:
            self._refuse_body("more")
            return
        full = self._rules.has_no_room_for(len(body))
        if full is not None:
            self._taker.refuse(full)
            return
        self._rules.body_bytes += len(body)
        try:
            self.body.add(body)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            self._taker.refuse(StorageFullError(f"no room is left for this body: {reason}"))

    def on_message_complete(self) -> None:
        """Take a request that has come whole."""
        self._has_ended = True
        if self.is_deaf or self._head is None:
            return
        self._taker.take(Request(self._head, self.body, is_hot=self._is_hot))
        self.body = Body()
        self._head = None
        self.state = IDLE

    # The rest

    def _refuse_head(self) -> None:
        detail = (
            f"expected at most {self._limits.headers} headers with {self._limits.head_bytes:,} "
            "bytes, got more"
        )
        self._taker.refuse(_TOO_LARGE_HEAD, detail)

    def _refuse_body(self, got: str) -> None:
        expected = f"expected a body of at most {self._most_bytes:,} bytes"
        self._taker.refuse(TooLargeError(f"{expected}, got {got}"))
