"""Replies as bytes on the wire."""

import time
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

from commons.adapters.problems import PROBLEM_TYPE, problem_of, problem_reply
from commons.errors import DiceboxError

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_OK = _LINES[200] + b"content-type: application/json\r\n"


class Dated:
    """The `Date` line, written once a second."""

    def __init__(self) -> None:
        self._second = 0
        self.line = b""

    def refresh(self) -> None:
        """Look at the clock."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.line = f"date: {formatdate(second, usegmt=True)}\r\n".encode()


def head(status: int, headers: Iterable[tuple[str, str]], date: bytes, *, closes: bool) -> bytes:
    """Return the head of a reply."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")
    ending = b"connection: close\r\n\r\n" if closes else b"\r\n"
    line = _LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n".encode()
    return line + lines + date + ending


def short_reply(
    status: int,
    content_type: str,
    body: bytes,
    headers: Mapping[str, str],
    request_id: str,
    date: bytes,
    *,
    closes: bool,
) -> bytes:
    """Return a whole reply."""
    if status == 200 and content_type == "application/json":  # noqa: PLR2004 - the usual one
        ending = b"connection: close\r\n\r\n" if closes else b"\r\n"
        return b"%bcontent-length: %d\r\nx-request-id: %b\r\n%b%b%b" % (
            _OK,
            len(body),
            request_id.encode(),
            date,
            ending,
            body,
        )
    pairs = [
        ("content-type", content_type),
        ("content-length", str(len(body))),
        ("x-request-id", request_id),
        *((name.lower(), value) for name, value in headers.items()),
    ]
    return head(status, pairs, date, closes=closes) + body


class Refusal(NamedTuple):
    """A reply that closes its connection; `kind` is the word for programs in it."""

    status: int
    kind: str
    reply: bytes


def refusal(error: DiceboxError | int, detail: str = "", date: bytes = b"") -> Refusal:
    """Return the reply to what is no request that could be answered.

    Args:
        error: Our own, or a status that only HTTP itself knows.
        detail: What was expected and what came, with a status.
        date: The `Date` line.
    """
    if isinstance(error, DiceboxError):
        kind = error.kind
        said = problem_of(error, None)
    else:
        phrase = HTTPStatus(error).phrase
        kind = phrase.lower().replace(" ", "-")
        said = problem_reply(error, kind, phrase, detail, None)
    pairs = [
        ("content-type", PROBLEM_TYPE),
        ("content-length", str(len(said.body))),
        *((name.lower(), value) for name, value in said.headers.items()),
    ]
    reply = head(said.status, pairs, date, closes=True) + said.body
    return Refusal(said.status, kind, reply)
