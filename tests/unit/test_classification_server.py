"""The process that listens: what it says when it cannot, and how it hands connections out."""

import signal
import socket
import sys
import threading

import pytest

from classification_service.server import Server, StartError, listen

# A worker that serves: it says so, and answers each connection with its number.
_WORKER = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[-1]))
channel.send(b"r")
while True:
    said, files, _, _ = socket.recv_fds(channel, 1, 1)
    for file in files:
        with socket.socket(fileno=file) as connection:
            connection.sendall(sys.argv[-1].encode())
    if said == b"d":
        channel.send(b"q")
    if said in (b"", b"e"):
        sys.exit()
"""


def test_an_address_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port)


def test_workers_that_do_not_start_are_told(monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    server = Server(listen("127.0.0.1", 0), (sys.executable, "-c", "raise SystemExit"), 2, 1.0)
    with pytest.raises(StartError, match="did not start"):
        server.serve()


class Unprivileged(socket.socket):
    """A listener of somebody whom the kernel gives no filter."""

    def setsockopt(self, *arguments) -> None:
        raise PermissionError(1, "Operation not permitted")


def unprivileged_listen(address: str, port: int) -> socket.socket:
    return Unprivileged(fileno=listen(address, port).detach())


@pytest.mark.parametrize("listen", [listen, unprivileged_listen])
def test_connections_go_to_the_workers_in_turn_until_it_is_stopped(monkeypatch, listen):
    handlers = {}
    monkeypatch.setattr("signal.signal", handlers.setdefault)
    listener = listen("127.0.0.1", 0)
    address = listener.getsockname()
    connections = [socket.create_connection(address) for _ in range(8)]
    server = Server(listener, (sys.executable, "-c", _WORKER), 2, 4.0)
    answers: list[bytes] = []

    def stop_when_answered() -> None:
        answers.extend(one.recv(10) for one in connections)
        handlers[signal.SIGTERM]()

    answering = threading.Thread(target=stop_when_answered)
    answering.start()
    server.serve()
    answering.join()
    for connection in connections:
        connection.close()
    assert len(answers) == 8
    assert sorted(answers.count(each) for each in set(answers)) == [4, 4]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
