"""The process that listens: hands connections to workers in turn, and sees to their ends.

One socket for all: nobody's queue of connections is lost with a process, and eight connections
make four for each of two workers. On SIGTERM readiness fails and every reply closes its
connection, while new ones are still served; when nothing is open any more, or after half of
`drain_s`, the port closes behind the last connection that came.
"""

import ctypes
import logging
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from prometheus_client.multiprocess import mark_process_dead

from classification_service.channel import CONNECTION, DRAIN, END, QUIET, READY
from commons.errors import DiceboxError

_LOG = logging.getLogger(__name__)
_BACKLOG = 4096
# So long a connection waits for a worker that takes it.
_HELD_S = 5.0
_TICK_S = 0.05
_QUIET_S = 0.5
_RESPAWN_S = 0.5
_START_S = 60.0
_SO_ATTACH_FILTER = 26


class StartError(DiceboxError):
    """A worker ended before it served anything; its own words are in the log."""

    kind = "start-failed"


@dataclass(eq=False)
class _Hand:
    """A worker as the server sees it."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    is_ready: bool = False
    is_quiet: bool = False


@dataclass
class Server:
    """Listens, and keeps so many workers alive.

    Args:
        listener: The socket, bound and listening.
        command: Starts a worker; the number of its channel's file comes last.
        workers: How many.
        drain_s: At most so long after a signal, everything has ended.
    """

    listener: socket.socket
    command: Sequence[str]
    workers: int
    drain_s: float
    monotonic: Callable[[], float] = time.monotonic
    _hands: list[_Hand] = field(default_factory=list)
    _turn: int = 0
    _stops_at: float | None = None
    _respawn_at: float = 0.0

    def serve(self) -> None:
        """Serve until a signal, and then until everything is answered.

        Raises:
            StartError: The workers do not start.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            try:
                for _ in range(self.workers):
                    self._start(selector)
                self._wait_for_all(selector)
                selector.register(self.listener, selectors.EVENT_READ)
                while self._stops_at is None:
                    self._turn_once(selector)
                    self._replace_dead(selector)
                self._drain(selector, self._stops_at)
            finally:
                for hand in self._hands:
                    hand.process.kill()
                    hand.process.wait()
                    hand.channel.close()
                self.listener.close()

    def _stop(self, *_: object) -> None:
        if self._stops_at is None:
            self._stops_at = self.monotonic()

    def _start(self, selector: selectors.BaseSelector) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [*self.command, str(theirs.fileno())], pass_fds=[theirs.fileno()]
            )
        ours.setblocking(False)
        hand = _Hand(process, ours)
        self._hands.append(hand)
        selector.register(ours, selectors.EVENT_READ, hand)

    def _wait_for_all(self, selector: selectors.BaseSelector) -> None:
        until = self.monotonic() + _START_S
        while not all(hand.is_ready for hand in self._hands):
            if self._stops_at is not None:
                return
            dead = [one for one in self._hands if one.process.poll() is not None]
            if dead or self.monotonic() > until:
                raise StartError("the service did not start; the log says why")
            self._turn_once(selector)

    def _turn_once(self, selector: selectors.BaseSelector) -> bool:
        """Take what there is, for a moment; say whether connections came."""
        came = False
        for key, _ in selector.select(_TICK_S):
            if key.data is None:
                came = self._accept() or came
            else:
                self._hear(key.data)
        return came

    def _accept(self) -> bool:
        """Hand out all connections that wait; say whether there were any."""
        if not any(hand.is_ready for hand in self._hands):
            # They wait in the queue of the socket until there is somebody again.
            time.sleep(_TICK_S)
            return False
        came = False
        while True:
            try:
                connection, _ = self.listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return came
            except OSError:
                # No files are left, until some connections end.
                time.sleep(_TICK_S)
                return came
            came = True
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._hand_out(connection)

    def _hand_out(self, connection: socket.socket) -> None:
        """Give a connection to the worker whose turn it is, or to the next that takes it."""
        until = self.monotonic() + _HELD_S
        while ready := [hand for hand in self._hands if hand.is_ready]:
            for _ in ready:
                self._turn += 1
                hand = ready[self._turn % len(ready)]
                try:
                    socket.send_fds(hand.channel, [CONNECTION], [connection.fileno()])
                except BlockingIOError:
                    continue
                except ConnectionError:
                    hand.is_ready = False
                    continue
                return
            if self.monotonic() > until:
                return
            # All have their hands full: whoever comes now waits in the queue of the listener.
            select.select([], [hand.channel for hand in ready], [], _TICK_S)

    def _hear(self, hand: _Hand) -> None:
        try:
            said = hand.channel.recv(1)
        except (BlockingIOError, ConnectionError):
            return
        if said == READY:
            hand.is_ready = True
        elif said:
            hand.is_quiet = said == QUIET
        else:
            hand.is_ready = False

    def _replace_dead(self, selector: selectors.BaseSelector) -> None:
        dead = [hand for hand in self._hands if hand.process.poll() is not None]
        for hand in dead:
            _LOG.error("worker %d ended with %s", hand.process.pid, hand.process.returncode)
            self._bury(selector, hand)
        missing = self.workers - len(self._hands)
        if missing and self.monotonic() >= self._respawn_at:
            self._respawn_at = self.monotonic() + _RESPAWN_S
            self._start(selector)

    def _bury(self, selector: selectors.BaseSelector, hand: _Hand) -> None:
        selector.unregister(hand.channel)
        hand.channel.close()
        self._hands.remove(hand)
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            mark_process_dead(hand.process.pid)  # type: ignore[no-untyped-call]

    def _drain(self, selector: selectors.BaseSelector, stopped: float) -> None:
        self._tell(DRAIN)
        quiet_since = self.monotonic()
        while self.monotonic() < stopped + self.drain_s / 2:
            came = self._turn_once(selector)
            if came or not all(hand.is_quiet for hand in self._hands):
                quiet_since = self.monotonic()
            if self.monotonic() - quiet_since >= _QUIET_S:
                break
        selector.unregister(self.listener)
        _refuse_new(self.listener)
        self._accept()
        self.listener.close()
        self._tell(END)
        for hand in self._hands:
            with suppress(subprocess.TimeoutExpired):
                hand.process.wait(max(0.1, stopped + self.drain_s - self.monotonic()))

    def _tell(self, word: bytes) -> None:
        for hand in self._hands:
            with suppress(BlockingIOError, ConnectionError):
                hand.channel.send(word)


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filters", ctypes.POINTER(_Filter)))


def _refuse_new(listener: socket.socket) -> None:
    """Let no connection begin any more, so that those that have begun can all be accepted.

    A listening socket that is closed resets what waits in its queue. A filter that drops
    everything ("return 0") leaves the queue alone.
    """
    if sys.platform != "linux":
        return
    drop = (_Filter * 1)(_Filter(0x06, 0, 0, 0))
    program = _Program(1, drop)
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))
    except PermissionError:
        # Some kernels let root alone have a filter. With no queue hardly anybody begins either.
        listener.listen(0)


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        StartError: The address is taken or none of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {address}:{port}: {error.strerror}") from error
    listener.listen(_BACKLOG)
    return listener
