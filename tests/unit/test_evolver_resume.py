"""Runs whose runner was killed at any moment, and what is left of them when they are taken up."""

import random
from typing import Any

import pytest

from commons.jobs import JobResult, JobSpec
from commons.messages import Evaluation, Individual, Run
from commons.training import EXPORT_FUNCTION, MEASURE_FUNCTION, TRAIN_FUNCTION
from evolver.journal import rung_order
from tests.evolver_builders import MemoryRuns, Stage, queued_run

# One worker and no seconds: the same decisions, whenever anything ends.
SAME = {
    "seconds": None,
    "evaluations": 14,
    "candidate_epochs": 3,
    "deterministic": True,
    "workers": 1,
    "population": 4,
    "keep_weights": 3,
}
# What of an evaluation depends on when, where and how often it was done.
PLACE = {"seconds", "started", "ended", "at", "worker", "attempt"}


class Killed(BaseException):
    """SIGKILL: nobody catches it, nothing is written down."""


class DyingRuns(MemoryRuns):
    """Tables whose runner is killed before, or just after, the n-th change from now."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None
        self.after = False

    def _dying(self, change: Any, *arguments: Any) -> Any:
        if self.left is not None:
            self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed
        result = change(*arguments)
        if self.left == 0:
            raise Killed
        return result

    def save(self, *arguments: Any) -> None:
        self._dying(super().save, *arguments)

    def add_individual(self, *arguments: Any) -> None:
        self._dying(super().add_individual, *arguments)

    def put_evaluation(self, *arguments: Any) -> None:
        self._dying(super().put_evaluation, *arguments)


class Killing(Stage):
    """A stage whose runner can be killed and followed by another one."""

    def kill_at(self, time: float) -> None:
        def kill(now: float) -> None:
            if now >= time:
                self.clock.alarms.remove(kill)
                raise Killed

        self.clock.alarms.insert(0, kill)

    def go_on(self) -> Run:
        """Have a new runner take the run up."""
        name = f"runner-{len(self.engines)}"
        runner = self.runner(name)
        self.dead.update(f"runner-{number}" for number in range(len(self.engines)))
        runner.recover()
        if self.tables.get("r1").state != "queued":
            self.tables.resume("r1", lambda runner: runner in self.dead)
        runner.run_next()
        return self.tables.get("r1")

    def go_on_until_killed(self) -> bool:
        """Do the same and say whether the runner was killed again."""
        try:
            self.go_on()
        except Killed:
            return True
        return False

    def ended(self) -> dict[str, Evaluation]:
        """Return the trainings that ended; what they left may have been cleared away since."""
        found = self.tables.individuals("r1", histories=True)
        return {
            f"{each.number}/{known.rung}": known.model_copy(
                update={"weights": None, "checkpoint": None}
            )
            for each in found
            for known in each.evaluations
            if known.state == "finished"
        }


def comparable(individuals: list[Individual]) -> list[dict[str, Any]]:
    """Return a journal without what depends on when, where and how often it was done."""
    rows = []
    for each in individuals:
        row = each.model_dump(mode="json", exclude={"evaluations", "seconds", "worker"})
        ordered = sorted(each.evaluations, key=rung_order)
        row["evaluations"] = [known.model_dump(mode="json", exclude=PLACE) for known in ordered]
        rows.append(row)
    return rows


@pytest.fixture(scope="module")
def undisturbed() -> Stage:
    stage = Stage()
    assert stage.evolve(**SAME).state == "complete"
    return stage


def test_a_deterministic_run_has_one_worker() -> None:
    stage = Stage()
    stage.evolve(**{**SAME, "workers": None, "evaluations": 2})
    assert stage.engine.size == 1


def test_the_same_request_gives_the_same_journal(undisturbed: Stage) -> None:
    again = Stage(start_s=17.0)
    again.clock.step = 0.07
    again.evolve(**SAME)
    first = comparable(undisturbed.tables.individuals("r1", histories=True))
    assert comparable(again.tables.individuals("r1", histories=True)) == first
    assert len(first) == 14
    rungs = {known["rung"] for row in first for known in row["evaluations"]}
    assert {"1", "2", "final"} <= rungs


@pytest.mark.parametrize("seed", range(25))
def test_a_runner_that_is_killed_at_any_moments_loses_nothing_and_repeats_nothing(
    undisturbed: Stage, seed: int
) -> None:
    rng = random.Random(seed)
    stage = Killing(tables=DyingRuns())
    stage.tables.add(queued_run("r1", **SAME))
    before: dict[str, Evaluation] = {}
    for _ in range(rng.randrange(1, 5)):
        if rng.random() < 0.5:
            stage.tables.left, stage.tables.after = rng.randrange(1, 25), rng.random() < 0.5
        else:
            stage.kill_at(stage.clock.time + rng.uniform(0.0, 30.0))
        if not stage.go_on_until_killed():
            break
        stage.tables.left = None
        stage.clock.alarms.clear()
        known = stage.ended()
        assert {name: known[name] for name in before} == before
        before = known
    run = stage.tables.get("r1")
    if run.state != "complete":
        run = stage.go_on()
    assert run.state == "complete"
    assert comparable(stage.tables.individuals("r1", histories=True)) == comparable(
        undisturbed.tables.individuals("r1", histories=True)
    )
    assert_nothing_ended_twice(stage)
    assert sorted(stage.blobs.held) == sorted(undisturbed.blobs.held)
    assert {name.split("/")[0] for name in stage.blobs.held} == {"weights"}
    assert len(stage.blobs.held) == SAME["keep_weights"]


def assert_nothing_ended_twice(stage: Stage) -> None:
    """Check that no job of which a result was stored was trained again."""
    trained = [job for engine in stage.engines for job in engine.trained]
    assert len(trained) == len(set(trained))


def test_the_seconds_that_earlier_runners_spent_count() -> None:
    stage = Killing()
    stage.tables.add(queued_run("r1", seconds=100))
    stage.kill_at(1040.0)
    assert stage.go_on_until_killed()
    stage.clock.time += 5000.0
    taken_up = stage.clock.time
    run = stage.go_on()
    assert run.state == "complete"
    assert run.resumed == 1
    assert 40.0 < run.progress.seconds <= 105.0
    assert stage.clock.time - taken_up <= 65.0


def test_what_a_worker_stored_is_taken_and_what_it_did_not_is_trained_again() -> None:
    stage = Killing()
    stage.tables.add(queued_run("r1", seconds=600, evaluations=6, fidelity={"rungs": False}))
    stage.kill_at(1020.0)
    assert stage.go_on_until_killed()
    under_way = [
        f"r1/{each.number}/{known.rung}"
        for each in stage.tables.individuals("r1")
        for known in each.evaluations
        if known.state == "submitted"
    ]
    assert len(under_way) == 2
    stored, lost = under_way
    spec = next(spec for spec in stage.engine.specs if spec.id == stored)
    stage.engine.store(spec)
    stage.go_on()
    specs = [spec for engine in stage.engines[1:] for spec in engine.specs]
    again = [spec.id for spec in specs if spec.function == TRAIN_FUNCTION]
    assert stored not in again
    assert again[0] == lost
    number = int(lost.split("/")[1])
    assert stage.tables.individuals("r1")[number - 1].evaluations[0].attempt == 2


def test_a_training_that_kills_its_runner_again_and_again_is_given_up() -> None:
    stage = Killing()
    stage.tables.add(queued_run("r1", seconds=600, evaluations=4))

    def deadly(spec: JobSpec) -> None:
        if spec.id == "r1/2/1":
            stage.kill_at(stage.clock.time)

    stage.fate = deadly
    deaths = 0
    while stage.go_on_until_killed():
        deaths += 1
        assert deaths <= 5
    second = stage.tables.individuals("r1")[1]
    assert (deaths, second.outcome) == (5, "lost")
    assert "died 5 times" in str(second.reason)
    assert stage.tables.get("r1").state == "complete"


def test_a_run_that_failed_for_its_surroundings_can_be_taken_up() -> None:
    stage = Killing()
    stage.gallery.refuses = True
    assert stage.evolve(seconds=60).state == "failed"
    trained = stage.ended()
    stage.gallery.refuses = False
    run = stage.go_on()
    assert (run.state, run.reason, run.promoted) == ("complete", None, True)
    assert {name: stage.ended()[name] for name in trained} == trained


def broken_from(number: int, stage: Stage) -> None:
    """Have the platform fail at every training of a candidate from a number on."""

    def fate(spec: JobSpec) -> JobResult | None:
        if spec.function != TRAIN_FUNCTION or int(spec.id.split("/")[1]) < number:
            return None
        return JobResult(id=spec.id, outcome="error", reason="no sensory service", platform=True)

    stage.fate = fate


@pytest.mark.parametrize("workers", [1, 2])
def test_a_platform_that_breaks_stops_the_run_and_no_candidate_has_failed(workers: int) -> None:
    stage = Killing()
    broken_from(4, stage)
    run = stage.evolve(seconds=600, evaluations=8, workers=workers)
    assert run.state == "failed"
    assert "no sensory service" in str(run.reason)
    assert (run.progress.evaluated, run.progress.failed) == (3, 0)
    trained = stage.ended()
    assert {known.outcome for known in trained.values()} == {"ok"}
    assert any(known.state == "submitted" for known in stage.tables.rows["r1"][4].evaluations)
    for _ in range(6):  # so often that its attempts would be over
        assert stage.go_on().state == "failed"
    stage.fate = lambda _: None
    run = stage.go_on()
    assert (run.state, run.progress.failed, run.progress.births) == ("complete", 0, 8)
    assert {name: stage.ended()[name] for name in trained} == trained
    assert_nothing_ended_twice(stage)


def test_a_deterministic_run_is_the_same_though_its_platform_broke(undisturbed: Stage) -> None:
    stage = Killing()
    broken_from(6, stage)
    assert stage.evolve(**SAME).state == "failed"
    stage.fate = lambda _: None
    assert stage.go_on().state == "complete"
    assert comparable(stage.tables.individuals("r1", histories=True)) == comparable(
        undisturbed.tables.individuals("r1", histories=True)
    )


@pytest.mark.parametrize("function", [MEASURE_FUNCTION, EXPORT_FUNCTION])
def test_a_platform_that_breaks_at_another_job_stops_the_run_too(function: str) -> None:
    stage = Killing()

    def fate(spec: JobSpec) -> JobResult | None:
        if spec.function != function:
            return None
        return JobResult(id=spec.id, outcome="error", reason="no room", platform=True)

    stage.fate = fate
    wanted = {"seconds": 60, "objectives": ["accuracy", "latency"]}
    run = stage.evolve(**wanted)
    assert (run.state, run.network) == ("failed", None)
    assert "no room" in str(run.reason)
    stage.fate = lambda _: None
    assert stage.go_on().state == "complete"


def test_who_was_killed_after_the_final_training_starts_no_worker_for_it_again() -> None:
    stage = Killing()

    def kill(_: float) -> None:
        if any(name.endswith("/final") for name in stage.ended()):
            stage.clock.alarms.remove(kill)
            raise Killed

    stage.clock.alarms.insert(0, kill)
    stage.tables.add(queued_run("r1", seconds=600, workers=2))
    assert stage.go_on_until_killed()
    opened = len(stage.engines)
    before = stage.ended()
    assert stage.go_on().state == "complete"
    assert [engine.size for engine in stage.engines[opened:]] == [2]
    assert stage.ended() == before


def test_a_run_whose_runner_is_killed_goes_on_by_itself_where_that_was_said(
    undisturbed: Stage,
) -> None:
    stage = Killing(resume_runs=1)
    stage.tables.add(queued_run("r1", **SAME))
    stage.kill_at(1010.0)
    with pytest.raises(Killed):
        stage.runner("first").run_next()
    next_one = stage.runner("next")
    next_one.recover()
    assert stage.tables.get("r1").state == "running", "its lease is not over"
    stage.clock.time += 16.0
    next_one.recover()
    assert next_one.run_next()
    run = stage.tables.get("r1")
    assert (run.state, run.resumed) == ("complete", 1)
    assert comparable(stage.tables.individuals("r1", histories=True)) == comparable(
        undisturbed.tables.individuals("r1", histories=True)
    )
    assert_nothing_ended_twice(stage)


def interrupt_at(stage: Stage, time: float) -> None:
    """Have the signal of an update come to the runner."""

    def interrupt(now: float) -> None:
        if now >= time:
            stage.clock.alarms.remove(interrupt)
            raise KeyboardInterrupt

    stage.clock.alarms.insert(0, interrupt)


@pytest.mark.parametrize(("resumes", "left"), [(0, "interrupted"), (1, "queued")])
def test_a_runner_that_is_told_to_end_leaves_its_run_to_the_next_one(
    resumes: int, left: str
) -> None:
    stage = Killing(resume_runs=resumes)
    stage.tables.add(queued_run("r1", **SAME))
    interrupt_at(stage, 1010.0)
    with pytest.raises(KeyboardInterrupt):
        stage.runner("first").run()
    assert stage.engine.closed
    assert stage.tables.get("r1").state == left
    assert [run.state for run in stage.tables.saved][-1] == "interrupted"
    if left == "queued":
        assert stage.runner("next").run_next()
        assert stage.tables.get("r1").state == "complete"


def test_a_stop_that_was_asked_for_goes_before_going_on() -> None:
    stage = Killing(resume_runs=9)
    stage.tables.add(queued_run("r1", **SAME))

    def stop(now: float) -> None:
        if now >= 1010.0:
            stage.clock.alarms.remove(stop)
            stage.tables.stops.add("r1")
            raise KeyboardInterrupt

    stage.clock.alarms.insert(0, stop)
    with pytest.raises(KeyboardInterrupt):
        stage.runner("first").run()
    assert stage.tables.get("r1").state == "interrupted"
    assert not stage.runner("next").run_next()
