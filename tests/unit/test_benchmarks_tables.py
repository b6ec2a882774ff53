import signal
import subprocess
import sys
import time

import pytest

from benchmarks.frame import termination_interrupts
from benchmarks.memory import Watched, cut_short, tenths
from benchmarks.memory import summary as memory_rows
from benchmarks.processes import Observer, Sample, holds_tensorflow, tree
from benchmarks.rows import Row
from benchmarks.runs import Overheads, overheads, short_candidates
from benchmarks.serving import summary as serving_rows
from commons.errors import DiceboxError
from commons.messages import Evaluation, Individual, Run, RunProgress, RunRequest


def by_measure(rows: list[Row], start: str) -> Row:
    return next(row for row in rows if row.measure.startswith(start))


def sample(mark: int, size: int) -> Sample:
    return Sample(float(mark), size, 5, mark)


def test_a_tenth_is_counted_in_finished_candidates() -> None:
    samples = [sample(mark, 100 + mark) for mark in range(51)] + [sample(12, 500)]
    # The fifty-first stands for the moment after the last candidate.
    assert tenths(samples, 50) == [104, 109, 500, 119, 124, 129, 134, 139, 144, 150]


def test_a_tenth_that_was_never_seen_has_no_peak() -> None:
    assert tenths([sample(0, 7), sample(10, 9)], 10) == [7, *[None] * 8, 9]


RUN = Run(
    id="r", state="stopped", request=RunRequest(dataset="digits"), snapshot=None, shape=None,
    created=0.0, progress=RunProgress(candidates_per_minute=90.0),
)  # fmt: skip


def test_the_memorys_rows_say_whether_it_is_flat() -> None:
    spent = Overheads(
        training_s=50.0, building_s=40.0, outside_s=60.0, starts_s=0.0, restarts=0, candidates=100
    )
    watched = Watched(RUN, [], spent, 1000, 1000)
    rows = memory_rows(watched, [1, 1000, *[1] * 7, 1049])
    assert by_measure(rows, "last tenth / second tenth, 1,000 individuals").met is True
    assert by_measure(rows, "outside training").ours == pytest.approx(600)
    assert by_measure(rows, "outside training").met is False
    assert by_measure(rows, "of it between the jobs").ours == pytest.approx(200)
    assert by_measure(memory_rows(watched, [1, None, *[1] * 8]), "last tenth /").met is None


def test_a_search_that_was_cut_short_says_after_how_many() -> None:
    watched = cut_short([RUN], [sample(mark, 100) for mark in range(41)], 40, 1000)
    assert tenths(watched.samples, watched.ended) == [100] * 10
    rows = memory_rows(watched, [100] * 10)
    cut = "last tenth / second tenth, cut short after 40 of 1,000 individuals"
    assert by_measure(rows, cut).ours == 1.0
    assert not any(row.measure.startswith("outside training") for row in rows)
    with pytest.raises(DiceboxError, match="cut short after 9"):
        cut_short([RUN], [], 9, 1000)


def test_a_termination_lets_a_benchmark_end_what_it_started() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), termination_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_short_candidates_are_ended_by_their_number() -> None:
    request = short_candidates(1000, 3)
    assert (request.evaluations, request.candidate_epochs, request.strategy) == (1000, 3, "random")
    assert request.seconds is not None
    assert request.candidate_seconds is not None
    # Two workers with half a second of training each: even at a tenth of the speed it is enough.
    assert request.seconds > 10 * 1000 * request.candidate_seconds / 2
    assert not request.fidelity.rungs


def trained(number: int, worker: str, beyond: float) -> Individual:
    known = Evaluation(
        rung="1", outcome="ok", worker=worker, trained_s=0.5, seconds=0.5 + beyond
    )  # fmt: skip
    return individual(number, known)


def individual(number: int, known: Evaluation) -> Individual:
    return Individual(
        number=number, genome={}, genome_hash="h", description="d", parents=[], operator="random",
        state="finished", parameters=10, evaluations=[known],
    )  # fmt: skip


def test_the_start_of_a_worker_is_told_from_what_every_candidate_costs() -> None:
    beyond = [4.5, 4.5, 0.5, 0.5, 5.5, 0.5, 0.5, 0.5]
    found = [trained(i, f"worker-{i % 2}", each) for i, each in enumerate(beyond)]
    failed = individual(9, Evaluation(rung="1", outcome="diverged", seconds=1.0))
    final = individual(10, Evaluation(rung="final", outcome="ok", seconds=9.0, trained_s=8.0))
    cached = individual(11, Evaluation(rung="1", outcome="ok", cached=True, trained_s=7.0))
    spent = overheads([*found, failed, final, cached], worker_s=30.0, starts=3)
    assert spent.candidates == 8
    assert spent.restarts == 1
    assert spent.training_s == pytest.approx(4.0)
    assert spent.building_s == pytest.approx(4.0)
    assert spent.starts_s == pytest.approx(13.0 / 3)
    assert spent.outside_s == pytest.approx(30.0 - 4.0 - 13.0)


def test_a_run_that_trained_nothing_spent_nothing_on_it() -> None:
    spent = overheads([], worker_s=5.0, starts=0)
    assert (spent.training_s, spent.building_s, spent.outside_s) == (0, 0, 5.0)


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
    # A process of its own: another test may have brought TensorFlow into this one.
    with subprocess.Popen(["sleep", "60"]) as process:
        assert not holds_tensorflow(process.pid)
        process.kill()
    assert not holds_tensorflow(2**22 + 1)
