"""The open loop against servers with all sorts of manners, and the commands around it."""

import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import dicebox.command
import load_generator.command
import load_generator.report
from load_generator.adapters.sender import Sender
from load_generator.outcomes import Fate, Outcomes
from load_generator.report import report_of
from load_generator.target import target_of
from load_generator.verdict import Limits, faults
from tests.scripted_server import OK, Script, scripted_server
from tests.servers import free_port


def evenly(count: int, step_s: float = 0.002) -> np.ndarray:
    return np.arange(count) * step_s


def answer(connection: socket.socket, _: int) -> bool:
    connection.sendall(OK)
    return True


def statuses(script: Script, due: np.ndarray, body: bytes = b"image", **options) -> list[int]:
    return run(script, due, body, **options).status.tolist()


def run(script: Script, due: np.ndarray, body: bytes = b"image", **options) -> Outcomes:
    with scripted_server(script) as server:
        return Sender(target_of(server.url, [body]), **{"ready": 2, **options}).run(due)


def test_every_request_is_sent_once_in_turn_over_the_connections_that_are_open() -> None:
    with scripted_server(answer) as server:
        target = target_of(server.url, [b"first", b"second"])
        outcomes = Sender(target, ready=4).run(evenly(100))
    assert outcomes.status.tolist() == [200] * 100
    assert sorted(request[-5:] for request in server.requests) == sorted([b"first", b"econd"] * 50)
    assert 4 <= server.connections < 100


def test_requests_leave_at_their_time_though_nothing_is_answered_and_latency_says_so() -> None:
    # A client that waited for answers would wait for ever: none comes before the last request.
    everything = threading.Barrier(40)

    def stall(connection: socket.socket, number: int) -> bool:
        everything.wait(20.0)
        return answer(connection, number)

    due = evenly(40)
    outcomes = run(stall, due)
    assert outcomes.status.tolist() == [200] * 40
    # No answer came before the last request was sent, so none took less than was left then.
    assert np.all(outcomes.ended >= outcomes.taken.max())
    assert np.all(outcomes.latency >= due[-1] - due)


def test_what_finds_no_free_connection_in_time_was_never_sent_and_the_run_is_invalid() -> None:
    def never(connection: socket.socket, _: int) -> bool:
        return connection.recv(1) != b""

    outcomes = run(never, evenly(5), connections=2, timeout_s=0.2)
    assert outcomes.status.tolist() == [Fate.TIMED_OUT] * 2 + [Fate.UNSENT] * 3
    report = report_of(outcomes, 0.01)
    assert not report.valid
    assert "3 of 5 requests were never sent" in report.reasons[0]


def test_nobody_there_is_refused_and_not_lost() -> None:
    target = target_of(f"http://127.0.0.1:{free_port()}", [b"image"])
    outcomes = Sender(target).run(evenly(10))
    assert outcomes.status.tolist() == [Fate.REFUSED] * 10


def test_a_connection_that_ends_without_an_answer_has_lost_the_request() -> None:
    assert statuses(lambda *_: False, evenly(3)) == [Fate.LOST] * 3


@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"something that is no HTTP\r\n\r\n",
    ],
)
def test_half_an_answer_is_a_lost_one(half: bytes) -> None:
    def cut(connection: socket.socket, _: int) -> bool:
        connection.sendall(half)
        return False

    assert statuses(cut, evenly(2)) == [Fate.LOST] * 2


@pytest.mark.parametrize(
    ("whole", "goes_on"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", False),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", False),
        (OK, False),
    ],
)
def test_every_way_to_end_an_answer_is_understood(whole: bytes, goes_on: bool) -> None:
    def script(connection: socket.socket, _: int) -> bool:
        for byte in whole:  # as slow networks give them
            connection.sendall(bytes([byte]))
        return goes_on

    assert statuses(script, evenly(6, 0.02)) == [200] * 6


def test_statuses_come_as_they_were_said() -> None:
    def script(connection: socket.socket, number: int) -> bool:
        status = (200, 503, 404)[number % 3]
        connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
        return True

    assert sorted(statuses(script, evenly(6, 0.01))) == [200, 200, 404, 404, 503, 503]


def test_a_large_body_is_sent_whole() -> None:
    body = bytes(8 << 20)
    with scripted_server(answer) as server:
        outcomes = Sender(target_of(server.url, [body])).run(evenly(2))
    assert outcomes.status.tolist() == [200, 200]
    assert all(request.endswith(body) for request in server.requests)


def test_an_answer_that_comes_before_all_was_sent_counts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        target = target_of(f"http://127.0.0.1:{listener.getsockname()[1]}", [bytes(32 << 20)])
        outcomes = Sender(target, ready=1).run(evenly(1))
        thread.join()
    assert outcomes.status.tolist() == [413]


# The commands


def image(folder: Path) -> str:
    file = folder / "a.png"
    file.write_bytes(b"image")
    return str(file)


def asked(folder: Path, *more: str) -> list[str]:
    return ["--rate", "200", "--seconds", "0.2", "--image", image(folder), *more]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests be late: this machine may be busy with other tests."""
    patient = Limits(late_s=60.0)
    monkeypatch.setattr(
        load_generator.report, "faults", lambda outcomes, _: faults(outcomes, patient)
    )


@pytest.mark.usefixtures("patient")
def test_the_command_reports_as_json_and_sends_what_it_was_told(tmp_path: Path) -> None:
    with scripted_server(answer) as server:
        options = asked(tmp_path, "--dataset", "pets", "--header", "X-One: 1", "--json")
        result = CliRunner().invoke(
            load_generator.command.main,
            ["--url", server.url, "--arrivals", "constant", *options],
            env={"DICEBOX_KEY": "dbx_a_key"},
        )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["valid"], report["planned"], report["statuses"]) == (True, 40, {"200": 40})
    request = server.requests[0]
    assert request.startswith(b"POST /api/classification/v1/classify?dataset=pets HTTP/1.1\r\n")
    assert b"Authorization: Bearer dbx_a_key\r\n" in request
    assert b"X-One: 1\r\n" in request


def test_an_invalid_run_ends_with_one_and_says_why(tmp_path: Path) -> None:
    def never(connection: socket.socket, _: int) -> bool:
        return connection.recv(1) != b""

    with scripted_server(never) as server:
        options = asked(tmp_path, "--connections", "1", "--timeout-s", "0.2")
        result = CliRunner().invoke(load_generator.command.main, ["--url", server.url, *options])
    assert result.exit_code == 1
    assert result.stdout.startswith("INVALID: ")
    assert "were never sent" in result.stdout


@pytest.mark.usefixtures("patient")
def test_the_dicebox_command_loads_the_server_that_was_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted_server(answer) as server:
        code = dicebox.command.run(["load", "--url", server.url, *asked(tmp_path)])
        assert code == 0
        assert capsys.readouterr().out.startswith("valid: ")
        assert dicebox.command.run(["--url", server.url, "load", *asked(tmp_path)]) == 0
    assert server.requests


def test_without_a_server_the_dicebox_command_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tmp_path / "data")]
    assert dicebox.command.run([*data, "load", *asked(tmp_path)]) == 1
    assert "nobody serves: start `dicebox up`" in capsys.readouterr().err


@pytest.mark.parametrize("header", ["nonsense", ": empty"])
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: str) -> None:
    options = ["--url", "http://127.0.0.1:1", *asked(tmp_path, "--header", header)]
    result = CliRunner().invoke(load_generator.command.main, options)
    assert result.exit_code == 1
    assert "expected headers as `Name: value`" in result.stderr
