import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks.cells import Cell, Measured
from benchmarks.made_up import (
    DATASET,
    MeasuredSeconds,
    OneSnapshot,
    PatientGallery,
    Trainings,
    measured_seconds,
    share_of,
)
from benchmarks.scale import rows
from benchmarks.scale_cell import search_figures
from benchmarks.scale_picture import draw
from benchmarks.sleep_engine import SleepEngine
from commons.adapters.clock import SystemClock
from commons.errors import InvalidInputError
from evolver.runner import Runner
from tests.evolver_builders import MemoryRuns, queued_run
from tests.memory_blobs import MemoryBlobs


def test_seconds_are_those_that_were_measured_with_another_median(tmp_path: Path) -> None:
    report = tmp_path / "durations.json"
    report.write_text(json.dumps({"details": {"seconds": [4.0, 1.0, 2.0]}}))
    seconds = measured_seconds(report, median_s=1.0)
    assert [seconds(share) for share in (0.0, 0.34, 0.5, 0.99)] == [0.5, 1.0, 1.0, 2.0]
    drawn = [seconds(share_of(f"run/{number}/1")) for number in range(3000)]
    assert 0.9 < sum(drawn) / len(drawn) / (3.5 / 3) < 1.1
    report.write_text("{}")
    with pytest.raises(InvalidInputError, match=r"benchmarks\.durations"):
        measured_seconds(report, median_s=1.0)


def test_a_slot_counts_as_busy_until_there_is_nothing_left_to_begin() -> None:
    ledger = [
        {"what": what, "job": job, "time": time}
        for what, job, time in (
            ("start", "r/1/1", 100.0), ("start", "r/2/1", 100.0), ("end", "r/1/1", 104.0),
            ("end", "r/2/1", 108.0), ("start", "r/3/1", 105.0), ("end", "r/3/1", 107.0),
            ("start", "r/4/1", 110.0), ("end", "r/4/1", 150.0), ("start", "r/4/final", 160.0),
        )
    ]  # fmt: skip
    submitted = {"r/1/1": 99.0, "r/2/1": 99.9, "r/3/1": 104.9, "r/4/1": 109.9}
    figures = search_figures(submitted, ledger)
    assert figures["window_s"] == 10.0
    assert figures["speed_up"] == pytest.approx((4.0 + 8.0 + 2.0) / 10.0)
    assert figures["wait_p50_ms"] == pytest.approx(100.0)
    assert 900.0 < figures["wait_p99_ms"] <= 1000.0


def test_the_rows_judge_64_slots_and_an_empty_job() -> None:
    def cell(slots: int, speed_up: float) -> Measured:
        figures = {"speed_up": speed_up, "evolver_ms": 800.0 / slots}
        return Measured(Cell("scale", "sleep", "made-up", slots), figures, {})

    empty = {"median_ms": 21.0, "p99_ms": 30.0}
    judged = {row.measure: row for row in rows(empty, [cell(1, 0.99), cell(64, 62.0)])}
    assert judged["64 workers: busy"].met is True
    assert judged["the evolver's own cost of an individual, most slots"].ours == 12.5
    assert judged["an empty job, submit to result, median"].met is False
    assert rows(empty, [cell(64, 60.0)])[2].met is False
    assert rows(empty, [cell(1, 1.0)])[2].met is None


def test_the_same_points_give_the_same_picture(tmp_path: Path) -> None:
    files = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for file in files:
        draw([(1, 0.99), (2, 1.95)], 2.0, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert "speed-up" in files[0].read_text()


def test_the_real_runner_ends_a_run_whose_trainings_are_made_up() -> None:
    runs, blobs, clock = MemoryRuns(), MemoryBlobs(), SystemClock()
    runs.add(
        queued_run(
            "r1",
            dataset=DATASET,
            seconds=None,
            evaluations=30,
            workers=4,
            fidelity={"rungs": False, "cache": False},
            promote="never",
        )
    )
    engine = SleepEngine(slots=4, blobs=blobs, pretend=Trainings(MeasuredSeconds([0.001, 0.02])))
    Runner(
        name="a",
        ledger=runs,
        journal=runs,
        blobs=blobs,
        sensory=OneSnapshot(),
        gallery=PatientGallery(),
        open_engine=lambda _: nullcontext(engine),
        clock=clock,
        sensory_url="http://nobody.test",
        workers=4,
        machine={},
        versions={},
        is_dead=lambda _: False,
        holding=lambda _: nullcontext(),
        fleet=True,
    ).run_next()
    engine.close()
    run = runs.get("r1")
    assert (run.state, run.reason) == ("complete", None)
    trained = [known for each in runs.individuals("r1") for known in each.evaluations]
    assert len([known for known in trained if known.rung == "1"]) == 30
    assert {known.outcome for known in trained} == {"ok"}
