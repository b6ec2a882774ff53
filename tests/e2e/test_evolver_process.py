"""The runner as a process: claimed runs, signals, exit code."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate, sqlite_url
from commons.messages import Run
from evolver.adapters.run_table import SqlRuns
from evolver.app import MIGRATIONS
from tests.dicebox_processes import until
from tests.evolver_builders import queued_run

pytestmark = pytest.mark.e2e
# Nothing listens on the discard port: the runner waits for a sensory service.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[SqlRuns]:
    database = create_database(sqlite_url(tmp_path / "evolver.sqlite3"))
    migrate(database, MIGRATIONS)
    yield SqlRuns(database, SystemClock())
    database.dispose()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    environ = {
        **os.environ,
        "DICEBOX_DATA": str(tmp_path),
        "DICEBOX_SENSORY_URL": NOWHERE,
        "DICEBOX_CLASSIFICATION_URL": NOWHERE,
    }

    def start_runner(**settings: str) -> subprocess.Popen[bytes]:
        told = {f"DICEBOX_{name}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "evolver"]
        started.append(subprocess.Popen(command, env=environ | told))
        return started[-1]

    yield start_runner
    for process in started:
        process.kill()
        process.wait()


def wait_for(state: str, runs: SqlRuns) -> Run:
    deadline = time.monotonic() + 30
    while (run := runs.get("r1")).state != state:
        assert time.monotonic() < deadline, f"still {run.state}"
        time.sleep(0.05)
    return run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_runner_fast_and_its_run_as_interrupted(
    number: signal.Signals, runs: SqlRuns, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    runs.add(queued_run())
    process = start()
    wait_for("running", runs)
    process.send_signal(number)
    assert process.wait(timeout=5) == 0
    assert runs.get("r1").state == "interrupted"


def test_a_run_whose_runner_was_killed_is_interrupted_when_the_next_one_starts(
    runs: SqlRuns, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    runs.add(queued_run())
    process = start()
    wait_for("running", runs)
    process.kill()
    process.wait()
    assert runs.get("r1").state == "running"
    start()
    assert "runner" in str(wait_for("interrupted", runs).reason)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_where_runs_go_on_by_themselves_the_next_runner_takes_one_up(
    number: signal.Signals, runs: SqlRuns, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    runs.add(queued_run())
    process = start(RESUME_RUNS="1")
    wait_for("running", runs)
    process.send_signal(number)
    process.wait(timeout=5)
    assert runs.get("r1").state == ("queued" if number == signal.SIGTERM else "running")
    process = start(RESUME_RUNS="1")
    until(lambda: (runs.get("r1").state, runs.get("r1").resumed) == ("running", 1))
    # So often and not more often.
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=5)
    assert runs.get("r1").state == "interrupted"


def test_the_runner_touches_its_file_while_it_goes_round(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    file = tmp_path / "alive"
    process = start(ALIVE_FILE=str(file))
    until(file.exists)
    before = file.stat().st_mtime
    until(lambda: file.stat().st_mtime > before)
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    stopped = file.stat().st_mtime
    time.sleep(2.5)
    assert file.stat().st_mtime == stopped
    process.send_signal(signal.SIGCONT)
    until(lambda: file.stat().st_mtime > stopped)


def test_settings_that_are_wrong_are_named_and_nothing_starts(tmp_path: Path) -> None:
    environ = {**os.environ, "DICEBOX_WORKERS": "0"}
    environ.pop("DICEBOX_DATA", None)
    ended = subprocess.run(
        [sys.executable, "-m", "evolver"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    assert b"DICEBOX_DATA" in ended.stderr
    assert b"DICEBOX_WORKERS" in ended.stderr
    assert b"Traceback" not in ended.stderr
