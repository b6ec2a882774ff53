"""One kept-alive HTTP/1.1 connection: a request, its answer, the next request."""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httptools

from load_generator.outcomes import Fate

_CHUNK = 1 << 16
_IN_PROGRESS = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
_INFORMATION = 200  # answers below are not the last one

# Where a connection goes: what `socket.socket` and its `connect` take.
Address = tuple[socket.AddressFamily, tuple[Any, ...]]
# Gets the number of a request and the HTTP status of its answer, or its fate.
Told = Callable[[int, int], None]


class Connection:
    """A socket that never blocks; `number` is the request it is busy with, -1 for none.

    Args:
        address: Where to.
        told: Called once for every request that was given to it, but for one that
            `send` refuses.

    Raises:
        OSError: The system has no socket left.
    """

    __slots__ = (
        "_headed",
        "_is_sent",
        "_measured",
        "_parser",
        "_rest",
        "_told",
        "connected",
        "fd",
        "number",
        "sock",
    )

    def __init__(self, address: Address, told: Told) -> None:
        family, place = address
        self.number = -1
        self.connected = False
        self._told = told
        self._rest: memoryview | None = None
        self._headed = self._measured = self._is_sent = False
        self._parser = httptools.HttpResponseParser(self)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.fd = self.sock.fileno()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        failed = self.sock.connect_ex(place)
        if failed not in _IN_PROGRESS:
            self.sock.close()
            raise OSError(failed, os.strerror(failed))

    @property
    def is_open(self) -> bool:
        """Say whether it may still be used."""
        return self.sock.fileno() >= 0

    @property
    def wants_to_write(self) -> bool:
        """Say whether it waits for the socket to take more, or to be connected."""
        return not self.connected or self._rest is not None

    def is_alive(self) -> bool:
        """Say whether the other side has not hung up; asked before a request is given."""
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        # It ended, or said something that nobody asked for.
        return False

    def send(self, number: int, request: bytes) -> None:
        """Send a request; on a connection that is not made yet, as soon as it is."""
        self.number = number
        self._headed = self._measured = self._is_sent = False
        self._rest = memoryview(request)
        if self.connected:
            self._write()

    def on_writable(self) -> None:
        """Go on with what the socket did not take at once."""
        if not self.connected:
            if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._fail()
                return
            self.connected = True
        if self._rest is not None:
            self._write()

    def on_readable(self) -> None:
        """Read what has come."""
        try:
            data = self.sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._fail()
            return
        if not data:
            self._hung_up()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail()

    def give_up(self, fate: Fate) -> None:
        """Close; the request it was busy with, if any, has met this fate."""
        number, self.number = self.number, -1
        self._close()
        if number >= 0:
            self._told(number, fate)

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note whether the answer says where it ends."""
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._measured = True

    def on_headers_complete(self) -> None:
        """Note that the status is known."""
        self._headed = True

    def on_message_complete(self) -> None:
        """Tell the status; keep the connection if both sides may."""
        status = self._parser.get_status_code()
        if status < _INFORMATION:
            self._headed = self._measured = False
            return
        keeps = self._parser.should_keep_alive() and self._rest is None
        number, self.number = self.number, -1
        if not keeps:
            self._close()
        if number >= 0:
            self._told(number, status)

    def _hung_up(self) -> None:
        if self._headed and not self._measured:
            # Such an answer ends with its connection.
            number, self.number = self.number, -1
            self._close()
            self._told(number, self._parser.get_status_code())
        else:
            self._fail()

    def _fail(self) -> None:
        self.give_up(Fate.LOST if self._is_sent else Fate.REFUSED)

    def _write(self) -> None:
        rest = self._rest
        if rest is None:
            return
        try:
            rest = rest[self.sock.send(rest) :]
        except BlockingIOError:
            return
        except OSError:
            # An answer may have come before all was sent: reading says what it was.
            self._rest = None
            return
        self._is_sent = True
        self._rest = rest if rest else None

    def _close(self) -> None:
        self._rest = None
        with suppress(OSError):
            self.sock.close()
