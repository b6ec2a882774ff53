"""The health check of images, run as Docker runs it."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "docker" / "health.py"
PREFIX = "/api/sensory/v1"
READY = (200, '{"ready": true, "missing": {}}')
Answers = dict[str, tuple[int, str]]
Checked = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def check(tmp_path: Path) -> Checked:
    """Return a function that runs the script with arguments, in a container's own folder."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", str(SCRIPT), *map(str, arguments)]
        environ = {**os.environ, "HEALTH_MARKER": str(tmp_path / "was-ready")}
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=10.0, env=environ
        )

    return run


@contextmanager
def _server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Give the port of a server that does `answer` with each connection in turn."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10.0)


@contextmanager
def _service(answers: Answers) -> Iterator[int]:
    """Give the port of a service that answers by path; `answers` may change meanwhile."""

    def answer(connection: socket.socket) -> None:
        path = connection.recv(4096).split()[1].decode()
        status, body = answers.get(path, (404, ""))
        head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\nConnection: close"
        connection.sendall(f"{head}\r\n\r\n{body}".encode())

    with _server(answer) as port:
        yield port


def _healthy(done: subprocess.CompletedProcess[str]) -> bool:
    assert done.stdout == ""
    assert (done.returncode == 0) == (done.stderr == "")
    return done.returncode == 0


def test_a_service_has_to_be_ready_once_and_to_live_from_then_on(check: Checked) -> None:
    answers: Answers = {f"{PREFIX}/readyz": (503, '{"missing": {"tables": "away"}}')}
    with _service(answers) as port:
        answers[f"{PREFIX}/healthz"] = (200, "{}")
        waiting = check(port, PREFIX)
        assert not _healthy(waiting)
        assert "503" in waiting.stderr
        assert "away" in waiting.stderr
        answers[f"{PREFIX}/readyz"] = READY
        assert _healthy(check(port, PREFIX))
        answers[f"{PREFIX}/readyz"] = (503, '{"missing": {"tables": "away"}}')
        assert _healthy(check(port, PREFIX))
        answers[f"{PREFIX}/healthz"] = (500, "")
        assert not _healthy(check(port, PREFIX))


def test_a_full_disk_alone_keeps_no_service_from_serving(check: Checked) -> None:
    answers: Answers = {f"{PREFIX}/readyz": (503, '{"missing": {"room": "full", "queue": "away"}}')}
    with _service(answers) as port:
        assert not _healthy(check(port, PREFIX))
        answers[f"{PREFIX}/readyz"] = (503, '{"missing": {"room": "full"}}')
        assert _healthy(check(port, PREFIX))


def test_a_container_that_is_started_again_has_to_be_ready_again(
    check: Checked, tmp_path: Path
) -> None:
    (tmp_path / "was-ready").write_text("the start of another first process")
    with _service({f"{PREFIX}/healthz": (200, "{}")}) as port:
        assert not _healthy(check(port, PREFIX))


@pytest.mark.parametrize("name", ["DICEBOX_PORT", "PORT"])
def test_a_service_is_asked_at_the_port_it_was_told(
    check: Checked, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with _service({f"{PREFIX}/readyz": READY}) as port:
        monkeypatch.setenv(name, str(port))
        assert _healthy(check(1, PREFIX))


def test_a_plain_address_is_asked_as_it_is(check: Checked) -> None:
    with _service({"/healthz": (200, "alive\n")}) as port:
        assert _healthy(check(port, "/healthz", "--plain"))
        assert not _healthy(check(port, "/other", "--plain"))


@pytest.mark.parametrize("said", [b"", b"SSH-2.0\r\n", b"HTTP/1.1 503 \r\n\r\nnot json"])
def test_what_speaks_something_else_is_not_healthy(check: Checked, said: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(said)

    with _server(answer) as port:
        assert not _healthy(check(port, PREFIX))


def test_a_server_that_hangs_or_drips_is_given_up_before_docker_does(check: Checked) -> None:
    over = threading.Event()

    def hang(connection: socket.socket) -> None:
        over.wait(10.0)

    def drip(connection: socket.socket) -> None:
        while not over.wait(0.1):
            try:
                connection.sendall(b"H")
            except OSError:
                return

    for answer in (hang, drip):
        over.clear()
        with _server(answer) as port:
            began = time.monotonic()
            assert not _healthy(check(port, PREFIX))
            assert time.monotonic() - began < 3.0
            over.set()


def test_a_port_is_open_or_not(check: Checked) -> None:
    with _server(lambda connection: None) as port:
        assert _healthy(check("--tcp", port))
    closed = check("--tcp", port)
    assert not _healthy(closed)
    assert str(port) in closed.stderr


def test_a_file_that_was_touched_lately_is_a_sign_of_life(check: Checked, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    assert "No such file" in check("--file", file, "--age", 60).stderr
    file.touch()
    assert _healthy(check("--file", file, "--age", 60))
    old = time.time() - 61.0
    os.utime(file, (old, old))
    assert "not touched for 61 s" in check("--file", file, "--age", 60).stderr


def test_it_says_how_it_is_called(check: Checked) -> None:
    assert "--tcp PORT" in check().stderr
    assert not _healthy(check("port", PREFIX))
