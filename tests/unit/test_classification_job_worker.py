"""The process behind the service: its chores, its patience at the start, its end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from classification_service.app import Settings, create_job_worker
from classification_service.chores import Chore, Chores
from commons.adapters.patience import opened
from commons.errors import InvalidInputError, UnavailableError
from tests.sensory_house import ManualClock


def raising(error: Exception) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


def test_a_chore_is_done_at_once_and_then_after_every_interval() -> None:
    clock, done = ManualClock(), []
    chores = Chores(
        [
            Chore("often", 2.0, lambda: done.append("often")),
            Chore("rarely", 5.0, lambda: done.append("rarely")),
        ],
        clock,
    )
    for _ in range(11):
        chores.step()
        clock.sleep(1.0)
    assert done.count("often") == 6
    assert done.count("rarely") == 3


@pytest.mark.parametrize("error", [UnavailableError("nobody is there"), ValueError("a bug")])
def test_a_chore_that_fails_is_logged_and_the_others_are_done(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock, done = ManualClock(), []
    chores = Chores(
        [Chore("the bad one", 1.0, raising(error)), Chore("good", 1.0, lambda: done.append(1))],
        clock,
    )
    for _ in range(3):
        chores.step()
        clock.sleep(1.0)
    assert len(done) == 3
    assert caplog.text.count("the bad one") == 3
    assert str(error) in caplog.text


def test_chores_that_were_told_to_end_begin_nothing_more() -> None:
    done: list[str] = []
    first = Chore("first", 1.0, lambda: done.append("first"))
    second = Chore("second", 1.0, lambda: done.append("second"))
    Chores([first, second], ManualClock()).run(lambda: bool(done))
    assert done == ["first"]


def test_the_worker_waits_for_a_database_that_is_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = create_job_worker(Settings(data=tmp_path))
    tries: list[int] = []

    def create():
        tries.append(1)
        if len(tries) < 4:
            raise UnavailableError("the database failed")
        return worker

    clock = ManualClock()
    assert opened(create, lambda: False, clock) is worker
    assert caplog.text.count("the database failed") == 3
    assert clock.monotonic() >= 0.5 + 1.0 + 2.0


def test_a_worker_that_is_told_to_end_while_it_waits_ends() -> None:
    tries: list[int] = []

    def create():
        tries.append(1)
        raise UnavailableError("the database failed")

    assert opened(create, lambda: len(tries) >= 2, ManualClock()) is None
    assert len(tries) == 2


def test_a_worker_with_wrong_settings_does_not_wait(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database_url="mysql://somewhere")
    with pytest.raises(InvalidInputError, match="expected a database"):
        opened(lambda: create_job_worker(settings), lambda: False, ManualClock())


def test_a_worker_ends_when_it_is_told_to(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    looks = iter([False] * 3)
    create_job_worker(Settings(data=tmp_path)).run(lambda: next(looks, True))
    assert next(looks, None) is None
    assert caplog.text == ""
