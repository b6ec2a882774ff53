"""The engine that trains nothing keeps the promises that a worker relies on."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.made_up import Trainings
from benchmarks.sleep_engine import Pretence, SleepEngine
from commons.errors import UnavailableError
from commons.jobs import JobSpec, stored_result
from commons.training import EXPORT_FUNCTION, TRAIN_FUNCTION, ExportResult, TrainResult
from tests.evolver_builders import Stage
from tests.memory_blobs import MemoryBlobs

WAIT_S = 30.0


def job(name: str, seconds: float = 0.0, **values: Any) -> JobSpec:
    arguments = {"seconds": seconds, **values}
    timeout_s = arguments.pop("timeout_s", None)
    return JobSpec(id=name, function="a.b:c", arguments=arguments, timeout_s=timeout_s)


def pretend(spec: JobSpec) -> Pretence:
    if spec.id == "wrong":
        raise KeyError("no such layer")
    return Pretence(spec.arguments["seconds"], {"job": spec.id}, (f"left/{spec.id}",))


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def engine(blobs: MemoryBlobs, tmp_path: Path) -> Any:
    engine = SleepEngine(slots=2, blobs=blobs, pretend=pretend, ledger=tmp_path / "ledger")
    yield engine
    engine.close()


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return value


def test_a_job_takes_its_seconds_and_leaves_what_it_says(
    engine: SleepEngine, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    result = engine.submit(job("a", 0.2)).result(WAIT_S)
    assert (result.outcome, result.value) == ("ok", {"job": "a"})
    assert 0.2 <= result.seconds < 5.0
    assert stored_result(blobs, "a") == result
    assert blobs.exists("left/a")
    lines = [json.loads(line) for line in (tmp_path / "ledger").read_text().splitlines()]
    assert [(line["what"], line["job"]) for line in lines] == [("start", "a"), ("end", "a")]


def test_as_many_jobs_run_at_once_as_there_are_slots(engine: SleepEngine) -> None:
    futures = [engine.submit(job(name, 60.0)) for name in ("a", "b", "c")]
    eventually(lambda: len([each for each in engine.workers() if each.job]) == 2)
    assert {each.job for each in engine.workers()} == {"a", "b"}
    assert len({event.data["process"] for event in engine.events(0)}) == 1
    assert engine.kill("a")
    eventually(lambda: {each.job for each in engine.workers()} == {"b", "c"})
    assert futures[0].result(WAIT_S).outcome == "cancelled"
    assert not engine.kill("a")


def test_a_job_that_was_killed_can_be_asked_for_again(engine: SleepEngine) -> None:
    first = engine.submit(job("a", 0.5))
    assert engine.kill("a")
    again = engine.submit(job("a", 0.6))
    assert first.result(WAIT_S).outcome == "cancelled"
    result = again.result(WAIT_S)
    assert result.outcome == "ok"
    assert result.seconds >= 0.6


def test_a_waiting_job_that_is_killed_never_starts(engine: SleepEngine, tmp_path: Path) -> None:
    for name in ("a", "b"):
        engine.submit(job(name, 60.0))
    waiting = engine.submit(job("c"))
    assert engine.kill("c")
    assert waiting.result(WAIT_S).outcome == "cancelled"
    engine.kill("a")
    assert engine.submit(job("d")).result(WAIT_S).outcome == "ok"
    assert '"c"' not in (tmp_path / "ledger").read_text()


def test_time_faults_and_results_that_are_there_count_as_in_a_worker(
    engine: SleepEngine, blobs: MemoryBlobs
) -> None:
    late = engine.submit(job("late", 60.0, timeout_s=0.1)).result(WAIT_S)
    assert (late.outcome, stored_result(blobs, "late")) == ("timed-out", None)
    wrong = engine.submit(job("wrong")).result(WAIT_S)
    assert (wrong.outcome, "no such layer" in str(wrong.reason)) == ("error", True)
    known = wrong.model_copy(update={"id": "known", "reason": "long ago"})
    blobs.put("results/known.json", known.model_dump_json().encode())
    assert engine.submit(job("known")).result(WAIT_S) == known


def test_a_closed_engine_cancels_everything_and_takes_nothing(engine: SleepEngine) -> None:
    futures = [engine.submit(job(name, 60.0)) for name in ("a", "b", "c")]
    assert engine.submit(job("c", 60.0)) is futures[2]
    engine.close()
    assert {future.result(WAIT_S).outcome for future in futures} == {"cancelled"}
    with pytest.raises(UnavailableError):
        engine.submit(job("d"))


def test_made_up_trainings_are_the_same_every_time() -> None:
    stage = Stage()
    stage.evolve(evaluations=4)
    trainings = Trainings(seconds=lambda share: 10 * share)
    train = next(spec for spec in stage.engine.specs if spec.function == TRAIN_FUNCTION)
    first = trainings(train)
    assert first == trainings(train)
    assert 0.0 <= first.seconds < 10.0
    result = TrainResult.model_validate(first.value)
    assert len(result.history) == result.epochs == train.arguments["budget"]["epochs"]
    assert result.history[-1].accuracy == result.accuracy
    assert first.leaves == ()
    assert Trainings(lambda _: 1.0, leaves=True)(train).leaves[0] == result.weights
    export = next(spec for spec in stage.engine.specs if spec.function == EXPORT_FUNCTION)
    assert ExportResult.model_validate(trainings(export).value).card.run == "r1"
