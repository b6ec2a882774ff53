"""The wire that other tests cut."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.cut_network import Kind, laid_wire, namespaces_are_allowed

pytestmark = pytest.mark.integration
ASK = (
    "import socket, sys\n"
    "with socket.create_connection((sys.argv[1], int(sys.argv[2])), 2.0) as there:\n"
    "    while word := sys.stdin.readline():\n"
    "        there.sendall(word.encode())\n"
    "        try:\n"
    "            answer = there.recv(100).decode().strip()\n"
    "        except TimeoutError:\n"
    "            answer = 'silence'\n"
    "        print(answer, flush=True)\n"
)


@pytest.fixture
def echo() -> Iterator[int]:
    """Return the port of a server that says everything back to one peer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError), listener.accept()[0] as connection:
            while data := connection.recv(100):
                connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()
    thread.join(10.0)


@pytest.mark.parametrize("kind", ["namespace", "process"])
def test_a_wire_that_is_cut_is_silent_and_goes_on_when_it_is_mended(echo: int, kind: Kind) -> None:
    if kind == "namespace" and not namespaces_are_allowed():
        pytest.skip("network namespaces are not allowed here")
    with laid_wire(echo, kind) as wire:
        command = [*wire.before, sys.executable, "-c", ASK, wire.host, str(wire.port)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]

            def said(word: str) -> str:
                process.stdin.write(word + "\n")
                process.stdin.flush()
                return process.stdout.readline().strip()

            assert said("before") == "before"
            wire.cut()
            assert said("meanwhile") == "silence"
            wire.mend()
            # What was said into the silence comes first.
            assert said("after") == "meanwhile"
            process.stdin.close()
            assert process.wait(10.0) == 0
