"""How many cores a process may use, and who goes by it."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import evolver.app
import trainer.app
from commons.adapters.clock import SystemClock
from commons.adapters.machine import usable_cores
from tests.evolver_builders import FakeSensory


class Engines:
    """Stands for `LocalEngine` and remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, **asked: Any) -> "Engines":
        self.asked.append(asked)
        return self

    def close(self) -> None:
        """End; there is nothing to end."""


@pytest.fixture
def pinned() -> Iterator[None]:
    """Give this thread, and who it starts, one of the cores that it has."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("pinned")
def test_a_pinned_process_has_the_cores_that_it_is_pinned_to() -> None:
    assert usable_cores() == 1


def test_where_nobody_says_which_cores_a_process_has_it_has_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("200000 100000", 2),
        ("350000 100000", 3),
        ("50000 100000", 1),
        ("9900000 100000", 7),
        ("max 100000", 7),
        ("", 7),
    ],
)
def test_a_container_with_a_limit_has_no_more_cores_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cores(file) == expected


def test_a_runner_divides_the_cores_that_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines, runners = Engines(), []
    monkeypatch.setattr(evolver.app, "usable_cores", lambda: 6)
    monkeypatch.setattr(evolver.app, "LocalEngine", engines)
    monkeypatch.setattr(evolver.app, "Runner", lambda **given: runners.append(given))
    evolver.app.create_runner(evolver.app.Settings(data=tmp_path), SystemClock())
    (given,) = runners
    assert given["workers"] == 6
    open_engine: Any = given["open_engine"]
    for workers, threads in ((6, 1), (2, 3), (1, 6), (9, 1)):
        block: AbstractContextManager[Any] = open_engine(workers)
        with block:
            assert engines.asked[-1]["threads"] == threads
            assert engines.asked[-1]["cards"] == ()


@pytest.mark.parametrize(("cores", "cards", "workers"), [(16, 1, 4), (16, 2, 8), (3, 1, 3)])
def test_a_runner_has_no_more_workers_than_its_cards_can_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, cards: int, workers: int
) -> None:
    engines, runners = Engines(), []
    monkeypatch.setattr(evolver.app, "usable_cores", lambda: cores)
    monkeypatch.setattr(evolver.app, "usable_cards", lambda: tuple("0123"[:cards]))
    monkeypatch.setattr(evolver.app, "LocalEngine", engines)
    monkeypatch.setattr(evolver.app, "Runner", lambda **given: runners.append(given))
    evolver.app.create_runner(evolver.app.Settings(data=tmp_path), SystemClock())
    (given,) = runners
    assert given["workers"] == workers
    with given["open_engine"](workers):
        assert engines.asked[-1]["cards"] == tuple("0123"[:cards])


def test_the_stand_alone_trainer_uses_the_cores_that_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: Any = Engines()
    monkeypatch.setattr(trainer.app, "usable_cores", lambda: 6)
    monkeypatch.setattr(trainer.app, "LocalEngine", engines)
    services = trainer.app.Services(FakeSensory(), None, "http://house")  # type: ignore[arg-type]
    with trainer.app.open_trainer(services, tmp_path, None):  # type: ignore[arg-type]
        assert [asked["threads"] for asked in engines.asked] == [6]
