"""The open loop: every request leaves at its time, whatever became of those before it."""

import errno
import gc
import math
import select
import selectors
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from commons.errors import UnavailableError
from load_generator.adapters.connection import Address, Connection
from load_generator.outcomes import Fate, Outcomes
from load_generator.schedule import Floats
from load_generator.target import Target

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_LEAD_IN_S = 0.05
_LONGEST_WAIT_S = 0.05
_CONNECT_S = 5.0
# So many are sent in a row before answers are looked at.
_BURST = 32
_TOLD_EVERY_S = 1.0
# What keeps us from another connection, not the service.
_OWN_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL})
# Gets how many requests were sent and how many have ended.
Progress = Callable[[int, int], None]


class Sender:
    """Sends by a schedule over kept-alive connections, one request at a time on each.

    Args:
        target: Who gets what.
        connections: The most at once; where all wait for answers, requests are sent late.
        ready: So many are opened before the first request is due.
        timeout_s: So long after its due time a request is given up.
    """

    def __init__(
        self,
        target: Target,
        *,
        connections: int = 1024,
        ready: int = 64,
        timeout_s: float = 10.0,
    ) -> None:
        self._target = target
        self._connections = connections
        self._ready = min(ready, connections)
        self._timeout_s = timeout_s

    def run(self, due: Floats, tell: Progress = lambda _sent, _ended: None) -> Outcomes:
        """Send every request at its time and return what became of them all.

        Raises:
            UnavailableError: The host has no address, or the system gives us no connection.
        """
        run = _Run(self._target, due, self._connections, self._timeout_s)
        try:
            with _no_collections():
                run.connect(self._ready)
                run.go(tell)
        finally:
            run.close()
        return run.outcomes()


class _Run:
    def __init__(self, target: Target, due: Floats, connections: int, timeout_s: float) -> None:
        count = len(due)
        self._address = _address(target)
        self._requests: Sequence[bytes] = target.requests
        self._most = connections
        self._timeout_s = timeout_s
        self._due: list[float] = due.tolist()
        self._taken = array("d", [math.nan]) * count
        self._ended = array("d", [math.nan]) * count
        self._status = array("h", [Fate.UNSENT]) * count
        self._next = self._oldest = self._resolved = 0
        self._waiting: deque[int] = deque()
        self._idle: deque[Connection] = deque()
        self._busy: dict[int, Connection] = {}
        self._open: dict[int, Connection] = {}
        self._selector = selectors.DefaultSelector()
        self._start = 0.0

    def connect(self, ready: int) -> None:
        """Open the first connections, so that no request pays for theirs."""
        self._start = time.perf_counter()
        for _ in range(ready):
            try:
                self._idle.append(self._another())
            except OSError:
                break  # every request will find out for itself
        while any(not each.connected for each in self._open.values()):
            if self._now() > _CONNECT_S:
                break
            self._handle(_LONGEST_WAIT_S)

    def go(self, tell: Progress) -> None:
        """Send, read and wait until every request has ended."""
        self._start = time.perf_counter() + _LEAD_IN_S
        told = 0.0
        while self._resolved < len(self._due):
            self._send_due()
            now = self._now()
            self._expire(now)
            self._handle(self._pause(now))
            if now >= told:
                told = now + _TOLD_EVERY_S
                tell(self._next - len(self._waiting), self._resolved)

    def close(self) -> None:
        """Close everything."""
        for connection in self._open.values():
            connection.give_up(Fate.TIMED_OUT)
        self._selector.close()

    def outcomes(self) -> Outcomes:
        """Return what became of every request."""
        return Outcomes(
            np.array(self._due),
            np.array(self._taken),
            np.array(self._ended),
            np.array(self._status, dtype=np.int16),
        )

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _send_due(self) -> None:
        due, now, count = self._due, self._now(), len(self._due)
        waiting = self._waiting
        burst = 0
        while burst < _BURST and self._next < count and due[self._next] <= now:
            waiting.append(self._next)
            self._next += 1
            burst += 1
        while waiting and self._give(waiting[0]):
            waiting.popleft()

    def _give(self, number: int) -> bool:
        """Give a request to a connection; say whether that is settled."""
        connection = self._idle_connection()
        if connection is None:
            if len(self._open) >= self._most:
                return False
            try:
                connection = self._another()
            except OSError as error:
                if error.errno not in _OWN_LIMITS:
                    self._taken[number] = self._now()
                    self._told(number, Fate.REFUSED)
                    return True
                if not self._open:
                    raise UnavailableError(f"no connection can be opened: {error}") from error
                self._most = len(self._open)
                return False
        self._taken[number] = self._now()
        self._busy[number] = connection
        connection.send(number, self._requests[number % len(self._requests)])
        if connection.wants_to_write:
            self._watch(connection, _READ | _WRITE)
        return True

    def _idle_connection(self) -> Connection | None:
        while self._idle:
            # In turn, as from so many clients: a service spreads connections over its processes.
            connection = self._idle.popleft()
            if not connection.is_open:
                continue
            if not connection.connected or connection.is_alive():
                return connection
            connection.give_up(Fate.LOST)
            self._forget(connection)
        return None

    def _another(self) -> Connection:
        connection = Connection(self._address, self._told)
        self._open[connection.fd] = connection
        self._selector.register(connection.fd, _READ | _WRITE, connection)
        return connection

    def _told(self, number: int, status: int) -> None:
        self._status[number] = status
        self._ended[number] = self._now()
        self._resolved += 1
        self._busy.pop(number, None)

    def _expire(self, now: float) -> None:
        """Give up what took too long: sent, or still waiting for a connection."""
        while self._oldest < self._next:
            number = self._oldest
            if math.isnan(self._ended[number]):
                if now < self._due[number] + self._timeout_s:
                    return
                connection = self._busy.get(number)
                if connection is not None:
                    connection.give_up(Fate.TIMED_OUT)
                    self._forget(connection)
                else:
                    self._waiting.remove(number)
                    self._resolved += 1
            self._oldest += 1

    def _pause(self, now: float) -> float:
        if self._resolved >= len(self._due):
            return 0.0
        if self._next < len(self._due):
            return min(max(self._due[self._next] - now, 0.0), _LONGEST_WAIT_S)
        return _LONGEST_WAIT_S

    def _handle(self, pause_s: float) -> None:
        # `select` waits for microseconds where `epoll` knows milliseconds.
        if not select.select([self._selector.fileno()], (), (), pause_s)[0]:
            return
        for key, events in self._selector.select(0):
            connection: Connection = key.data
            was_busy = connection.number >= 0
            if events & _WRITE:
                connection.on_writable()
                if connection.is_open and not connection.wants_to_write:
                    self._watch(connection, _READ)
            if events & _READ and connection.is_open:
                connection.on_readable()
            if not connection.is_open:
                self._forget(connection)
            elif was_busy and connection.number < 0:
                self._idle.append(connection)

    def _watch(self, connection: Connection, events: int) -> None:
        self._selector.modify(connection.fd, events, connection)

    def _forget(self, connection: Connection) -> None:
        if self._open.pop(connection.fd, None) is not None:
            self._selector.unregister(connection.fd)


def _address(target: Target) -> Address:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(f"{target.host} has no address: {error}") from error
    family, _, _, _, place = found[0]
    return family, place


@contextmanager
def _no_collections() -> Iterator[None]:
    """Keep the collector of cycles from stopping the run; it makes none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
