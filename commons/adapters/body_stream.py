"""The body of a request, read to its end and never beyond the most that one may have."""

from typing import IO

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import LimitedStream

_PART_BYTES = 64 * 1024


class BodyStream(LimitedStream):
    """A body that ends where its client ended it, or raises.

    The library's own stream gives the first `most` bytes of a longer body whose length nobody
    said as if they were all of it, and takes one of exactly `most` bytes for too long.

    Args:
        stream: What the server gives, with an end of its own.
        most: Bytes that the body may have.
        said: Bytes that it has, where the client said so.
    """

    def __init__(self, stream: IO[bytes], most: int, said: int | None) -> None:
        super().__init__(stream, most, is_max=True)
        self._said = said

    def on_exhausted(self) -> None:
        """Look whether there is more than there may be."""
        if self._stream.read(1):
            raise RequestEntityTooLarge

    def on_disconnect(self, error: Exception | None = None) -> None:
        """Tell the end of the body from that of its client, where its length is known."""
        if self._said is not None and self.tell() < self._said:
            raise ClientDisconnected
        super().on_disconnect(error)

    def readall(self) -> bytes:
        """Return all that is left."""
        body = bytearray()
        while part := self.read(_PART_BYTES):
            body += part
        return bytes(body)
