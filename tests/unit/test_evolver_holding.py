"""How a runner holds a run, and how others know that it has ended."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from commons.errors import ConflictError, UnavailableError
from evolver.adapters.lease import renewed
from evolver.adapters.runner_locks import RunnerLocks


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_lease_is_renewed_until_the_block_ends() -> None:
    calls: list[str] = []
    with renewed(lambda: calls.append(threading.current_thread().name), every_s=0.01):
        eventually(lambda: len(calls) >= 3)
    after = len(calls)
    time.sleep(0.05)
    assert len(calls) == after
    assert set(calls) == {"lease"}


def test_tables_that_are_away_for_a_while_end_no_lease() -> None:
    calls: list[int] = []

    def renew() -> None:
        calls.append(1)
        raise UnavailableError("the database cannot be reached")

    with renewed(renew, every_s=0.01):
        eventually(lambda: len(calls) >= 3)


def test_a_run_in_other_hands_is_not_asked_for_again() -> None:
    calls: list[int] = []

    def renew() -> None:
        calls.append(1)
        raise ConflictError("it is in other hands")

    with renewed(renew, every_s=0.01):
        eventually(lambda: bool(calls))
        time.sleep(0.05)
    assert calls == [1]


def test_a_runner_is_dead_when_nobody_holds_its_file(tmp_path: Path) -> None:
    mine, others = RunnerLocks(tmp_path), RunnerLocks(tmp_path)
    assert not others.is_dead("a")
    mine.hold("a")
    assert not others.is_dead("a")
    file = tmp_path / "gone.lock"
    with FileLock(file):
        assert not others.is_dead("gone")
    assert others.is_dead("gone")
    assert others.is_dead("gone")
    assert not RunnerLocks(tmp_path / "another").is_dead("gone")


def test_files_of_runners_that_ended_long_ago_are_swept_away(tmp_path: Path) -> None:
    locks = RunnerLocks(tmp_path)
    locks.hold("a")
    for name, age in (("old", 2 * 86400.0), ("young", 60.0)):
        file = tmp_path / f"{name}.lock"
        file.touch()
        os.utime(file, (time.time() - age,) * 2)
    os.utime(tmp_path / "a.lock", (0.0, 0.0))
    locks.hold("b")
    assert {file.stem for file in tmp_path.iterdir()} == {"a", "b", "young"}
