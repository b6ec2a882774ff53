import os
import subprocess
import sys
import time

import pytest

from benchmarks.cells import Cell, Measured
from benchmarks.evolution import summary as evolution_rows
from benchmarks.memory import summary as memory_rows
from benchmarks.memory import tenths
from benchmarks.processes import Observer, Sample, holds_tensorflow, tree
from benchmarks.rows import Row, at_least
from benchmarks.runs import Overheads, overheads
from benchmarks.serving import summary as serving_rows
from commons.jobs import JobResult
from commons.messages import Run, RunProgress, RunRequest


def by_measure(rows: list[Row], start: str) -> Row:
    return next(row for row in rows if row.measure.startswith(start))


def cell(arm: str, seed: int, accuracy: float) -> Measured:
    figures = {
        "test_accuracy": accuracy,
        "validation_accuracy": 0.99,
        "candidates_per_minute": 30.0,
        "failed": 0,
        "wall_seconds": 60.0,
        "tensorflow_imports": 2,
        "peak_bytes": 2_000_000_000,
        "classification_median_ms": 2.0,
    }
    return Measured(Cell("evolution", arm, "digits", seed), figures, {})


def test_the_evolutions_rows_compare_the_arms() -> None:
    measured = [cell("ours", seed, 0.98 + seed / 100) for seed in range(2)]
    measured += [cell("random", seed, 0.97 + seed / 100) for seed in range(2)]
    rows = evolution_rows(measured, at_least(98.5))
    accuracy = by_measure(rows, "test accuracy, mean")
    assert (accuracy.ours, accuracy.best_peer) == (pytest.approx(98.5), pytest.approx(97.5))
    assert accuracy.peer == "random"
    gain = by_measure(rows, "test accuracy, ours - random")
    assert gain.ours == pytest.approx(1.0)
    assert gain.measure.endswith("(95 %: -2.04 to +4.04)")
    assert by_measure(rows, "peak memory").ours == pytest.approx(2000)


def sample(mark: int, size: int) -> Sample:
    return Sample(float(mark), size, 5, mark)


def test_a_tenth_is_counted_in_finished_candidates() -> None:
    samples = [sample(mark, 100 + mark) for mark in range(51)] + [sample(12, 500)]
    # The fifty-first stands for the moment after the last candidate.
    assert tenths(samples, 50) == [104, 109, 500, 119, 124, 129, 134, 139, 144, 150]


def test_a_tenth_that_was_never_seen_has_no_peak() -> None:
    assert tenths([sample(0, 7), sample(10, 9)], 10) == [7, *[None] * 8, 9]


def test_the_memorys_rows_say_whether_it_is_flat() -> None:
    progress = RunProgress(candidates_per_minute=90.0)
    request = RunRequest(dataset="digits")
    run = Run(
        id="r", state="stopped", request=request, snapshot=None, shape=None, created=0.0,
        progress=progress,
    )  # fmt: skip
    spent = Overheads(training_s=50.0, outside_s=60.0, starts_s=0.0, restarts=0, candidates=100)
    rows = memory_rows(run, [1, 1000, *[1] * 7, 1049], spent)
    assert by_measure(rows, "last tenth /").met is True
    assert by_measure(rows, "outside training").ours == pytest.approx(600)
    assert by_measure(memory_rows(run, [1, None, *[1] * 8], spent), "last tenth /").met is None


def result(number: int, worker: str, beyond: float) -> JobResult:
    progress = {"epoch": 1, "epochs": 1, "loss": 1.0, "accuracy": 0.5, "seconds": 0.5}
    value = {
        "accuracy": 0.5,
        "loss": 1.0,
        "epochs": 1,
        "parameters": 10,
        "seconds": 0.9,
        "build_seconds": 0.4,
        "weights": "w",
        "history": [progress],
    }
    name = f"run/{number}/1"
    return JobResult(id=name, outcome="ok", value=value, seconds=0.9 + beyond, worker=worker)


def test_the_start_of_a_worker_is_told_from_what_every_candidate_costs() -> None:
    beyond = [4.1, 4.1, 0.1, 0.1, 5.1, 0.1, 0.1, 0.1]
    results = [result(i, f"worker-{i % 2}", each) for i, each in enumerate(beyond)]
    failed = JobResult(id="run/9/1", outcome="diverged", seconds=1.0)
    found = overheads([*results, failed], worker_s=30.0, starts=3)
    assert found.candidates == 8
    assert found.restarts == 1
    assert found.training_s == pytest.approx(4.0)
    assert found.starts_s == pytest.approx(13.0 / 3)
    assert found.outside_s == pytest.approx(30.0 - 4.0 - 13.0)


def test_serving_is_judged_by_its_medians() -> None:
    figures = {
        "tensorflow_in_front": 0, "tensorflow_in_all": 0, "front_bytes": 1, "all_bytes": 2,
    }  # fmt: skip
    rows = serving_rows([1.0, 2.0, 9.0], [1.0, 1.0, 1.0], [1.0, 2.0, 50.0], figures)
    assert by_measure(rows, "every service ready, empty").met is True
    assert by_measure(rows, "every service ready, slowest").met is False
    assert by_measure(rows, "processes of the front").met is True
    assert by_measure(rows, "one classification, median").ours == 2.0


def test_an_observer_sees_a_process_with_its_children() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    root = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE)
    try:
        with Observer(root.pid, every_s=0.01) as seen:
            seen.mark = 3
            deadline = time.monotonic() + 20
            while not any(each.processes == 2 for each in seen.samples):
                assert time.monotonic() < deadline
                time.sleep(0.01)
    finally:
        root.communicate(b"\n")
    assert seen.samples[-1].mark == 3
    assert seen.peak_bytes() == max(each.bytes for each in seen.samples)
    assert seen.peak_bytes(lambda each: each.processes > 2) is None
    assert seen.trainers == set()
    assert tree(root.pid) == []


def test_a_process_without_tensorflow_is_told_from_one_that_is_gone() -> None:
    assert not holds_tensorflow(os.getpid())
    assert not holds_tensorflow(2**22 + 1)
