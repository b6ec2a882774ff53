"""An HTTP server that does with each request what a test says, good manners or not."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# Gets the connection and how many requests came before, over all connections; says whether the
# connection goes on.
Script = Callable[[socket.socket, int], bool]


@dataclass
class ScriptedServer:
    """What a running server has seen."""

    url: str
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def scripted_server(script: Script) -> Iterator[ScriptedServer]:
    """Give a server that reads whole requests and hands each to the script."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        server = ScriptedServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        threads: list[threading.Thread] = []
        sockets: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    server.connections += 1
                    sockets.append(connection)
                    threads.append(threading.Thread(target=serve, args=(connection,)))
                    threads[-1].start()

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError), connection.makefile("rb") as stream:
                goes_on = True
                while goes_on and (request := whole_request(stream)):
                    with server.lock:
                        number = len(server.requests)
                        server.requests.append(request)
                    goes_on = script(connection, number)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for connection in sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def whole_request(stream) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + stream.read(int(sizes[0].partition(b":")[2]) if sizes else 0)
