"""What the embedded engine does beyond its contract: memory, cards, faults of the platform."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pebble import ProcessPool

from commons.adapters.cards import check_card
from commons.adapters.clock import SystemClock
from commons.adapters.engine_slot import Lifetime, Slot
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.job_process import WorkerPlace
from commons.adapters.local_engine import LocalEngine
from commons.errors import UnavailableError
from commons.jobs import JobResult, JobSpec, stored_result

WAIT_S = 30
MiB = 2**20

Opened = Callable[..., LocalEngine]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    engines: list[LocalEngine] = []

    def start(**options: Any) -> LocalEngine:
        blobs = str(tmp_path / "blobs")
        engines.append(LocalEngine(workers=1, blobs_url=blobs, folder=tmp_path, **options))
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


def ran(
    engine: LocalEngine, name: str, job_id: str = "run/1/search", **arguments: Any
) -> JobResult:
    spec = JobSpec(id=job_id, function=f"tests.engine_jobs:{name}", arguments=arguments)
    return engine.submit(spec).result(WAIT_S)


def test_a_job_that_takes_too_much_memory_is_ended_while_it_runs(opened: Opened) -> None:
    engine = opened(memory_limit_bytes=300 * MiB)
    result = ran(engine, "hoard", bytes=400 * MiB, seconds=60)
    assert result.outcome == "out-of-memory"
    assert "of 300 MB" in (result.reason or "")
    assert result.seconds < WAIT_S
    assert ran(engine, "hoard", "after", bytes=100 * MiB, seconds=0.6).outcome == "ok"


@pytest.mark.parametrize(("name", "outcome"), [("stumble", "error"), ("diverge", "diverged")])
def test_a_worker_is_replaced_after_a_failure_that_may_be_its_own(
    opened: Opened, name: str, outcome: str
) -> None:
    engine = opened(recycle_after_failure=True)
    before = ran(engine, "double", "before", number=1).value
    assert ran(engine, name).outcome == outcome
    after = ran(engine, "double", "after", number=1).value
    assert before is not None
    assert after is not None
    assert (before["process"] != after["process"]) == (outcome == "error")


def test_a_fault_of_the_platform_is_said_and_not_stored(opened: Opened, tmp_path: Path) -> None:
    engine = opened()
    result = ran(engine, "miss_a_service")
    assert (result.outcome, result.platform) == ("error", True)
    assert result.reason == "the sensory service does not answer"
    assert stored_result(FileBlobs(tmp_path / "blobs"), "run/1/search") is None
    assert not ran(engine, "stumble", "own/fault").platform


def test_a_worker_whose_card_is_not_there_trains_nothing(opened: Opened) -> None:
    engine = opened(cards=("GPU-of-nobody",), check_cards=True)
    result = ran(engine, "double", number=1)
    assert (result.outcome, result.platform) == ("error", True)
    assert "card GPU-of-nobody was given" in (result.reason or "")


def test_a_card_is_checked_by_its_driver(tmp_path: Path) -> None:
    check_card(None)
    with pytest.raises(UnavailableError, match="no driver"):
        check_card("0", str(tmp_path / "libcuda.so.1"))


def test_the_engine_knows_on_which_card_a_job_runs(opened: Opened) -> None:
    engine = opened(cards=("3",), name="host-7")
    spec = JobSpec(id="j", function="tests.engine_jobs:sleep", arguments={"seconds": 60})
    future = engine.submit(spec)
    while not engine.events(0):
        assert not future.done()
    assert engine.card_of("j") == "3"
    assert engine.card_of("another") is None
    assert [info.name for info in engine.workers()] == ["host-7/1"]
    engine.kill("j")
    assert future.result(WAIT_S).worker == "host-7/1"


def test_that_no_worker_can_be_started_is_a_fault_of_the_platform() -> None:
    class Barren(Slot):
        def _open_pool(self) -> ProcessPool:
            raise RuntimeError("no process can be made")

    places = dict.fromkeys(("blobs_url", "cache", "progress", "process", "temporary", "log"), "")
    slot = Barren(
        WorkerPlace(name="w", threads=1, **places), Lifetime(None, None, False), SystemClock()
    )
    spec = JobSpec(id="run/1/1", function="tests.engine_jobs:double", arguments={})
    result = slot.run(spec, lambda: False)
    assert (result.outcome, result.platform) == ("lost", True)
