"""A wire between a process and a server on this machine, which can be cut: nobody is told.

Where this user may make network namespaces, what stands behind the wire has a network of its own,
and the cut takes its only link down. Elsewhere, or if asked, the server is reached through a
process that is stopped: to both ends the same, packets that get no answer, and neither end is
told that a connection ended.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from benchmarks.broker import kill_group
from benchmarks.installation import free_port

_STARTED = b"forwards\n"
_PIECE = 65536
Kind = Literal["namespace", "process"]


@dataclass(frozen=True)
class Wire:
    """Which way a server is reached.

    Args:
        host: Where whoever stands behind the wire finds the server,
        port: and at which port.
        before: The words before a command that is to run behind the wire.
        kind: How it is cut.
    """

    host: str
    port: int
    before: list[str]
    kind: Kind
    _forwarder: "subprocess.Popen[bytes]"
    _link: str = ""

    def cut(self) -> None:
        """Let nothing through from now on; who sends is not told."""
        if self.kind == "namespace":
            _ip("link", "set", self._link, "down")
        else:
            os.kill(self._forwarder.pid, signal.SIGSTOP)

    def mend(self) -> None:
        """Let everything through again, what waits at an end included."""
        if self.kind == "namespace":
            _ip("link", "set", self._link, "up")
        else:
            os.kill(self._forwarder.pid, signal.SIGCONT)


@contextmanager
def laid_wire(port: int, kind: Kind | None = None) -> Iterator[Wire]:
    """Give a wire to a port of 127.0.0.1; `kind` where it must be one of the two."""
    if kind == "process" or not (namespaces_are_allowed() or kind):
        with _forwarder("127.0.0.1", port) as (process, at):
            yield Wire("127.0.0.1", at, [], "process", process)
        return
    name = f"dicebox{os.getpid()}"
    # 15 letters at most; a network of two addresses that no other test process has.
    link, inner = f"dbo{os.getpid()}", f"dbi{os.getpid()}"
    number = 4 * (os.getpid() % 16384)
    here, there = (f"10.93.{number // 256}.{number % 256 + last}" for last in (1, 2))
    _ip("netns", "add", name)
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", inner, "netns", name)
        _ip("address", "add", f"{here}/30", "dev", link)
        _ip("link", "set", link, "up")
        for words in (
            ["address", "add", f"{there}/30", "dev", inner],
            ["link", "set", inner, "up"],
            ["link", "set", "lo", "up"],
        ):
            _ip("-netns", name, *words)
        with _forwarder(here, port) as (process, at):
            before = ["ip", "netns", "exec", name]
            yield Wire(here, at, before, "namespace", process, link)
    finally:
        with suppress(subprocess.CalledProcessError):
            _ip("link", "delete", link)
        _ip("netns", "delete", name)


def namespaces_are_allowed() -> bool:
    """Say whether this user may make a network namespace here."""
    name = f"diceboxtry{os.getpid()}"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


@contextmanager
def _forwarder(host: str, port: int) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    at = free_port()
    command = [sys.executable, "-m", "tests.cut_network", host, str(at), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == _STARTED
        yield process, at
    finally:
        kill_group(process)
        process.stdout.close()


def main(host: str, port: int, server: int) -> None:
    """Hand on what comes to a port, both ways, until killed."""
    chooser = selectors.DefaultSelector()
    listener = socket.create_server((host, port))
    chooser.register(listener, selectors.EVENT_READ)
    sys.stdout.write(_STARTED.decode())
    sys.stdout.flush()
    while True:
        for key, _ in chooser.select():
            if key.fileobj is listener:
                _join(listener.accept()[0], server, chooser)
            elif key.data.fileno() >= 0:
                _hand_on(key.fileobj, key.data, chooser)  # type: ignore[arg-type]


def _join(near: socket.socket, server: int, chooser: selectors.BaseSelector) -> None:
    try:
        far = socket.create_connection(("127.0.0.1", server))
    except OSError:
        near.close()
        return
    chooser.register(near, selectors.EVENT_READ, far)
    chooser.register(far, selectors.EVENT_READ, near)


def _hand_on(one: socket.socket, other: socket.socket, chooser: selectors.BaseSelector) -> None:
    try:
        data = one.recv(_PIECE)
        other.sendall(data)
    except OSError:
        data = b""
    if not data:
        for end in (one, other):
            chooser.unregister(end)
            end.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
