"""Runs whose workers are of other machines: there may be none, and they come and go."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from commons.errors import UnavailableError
from commons.jobs import JobResult, JobSpec, WorkerInfo
from commons.messages import Individual
from commons.training import MEASURE_FUNCTION, TRAIN_FUNCTION, LatencyResult, TrainJob
from tests.evolver_builders import FakeEngine, Stage, nobody_is_dead, queued_run
from tests.unit.test_evolver_resume import SAME, Killing, comparable

START = 1000.0


@dataclass
class FleetEngine(FakeEngine):
    """An engine of which so many workers are there at a time; who leaves gives its job back.

    Args:
        here: Says how many are there at a moment; a negative number: the broker is away.
    """

    here: Callable[[float], int] = lambda _: 2
    others: list[WorkerInfo] = field(default_factory=list)

    def capacity(self) -> int:
        there = self.here(self.clock.time)
        if there < 0:
            raise UnavailableError("the broker is away")
        return min(there, self.size)

    def workers(self) -> list[WorkerInfo]:
        return [*super().workers()[: self.capacity()], *self.others]

    def kill(self, job_id: str) -> bool:
        self.capacity()
        return super().kill(job_id)

    def _advance(self, now: float) -> None:
        there = max(0, self.here(now))
        for slot, running in self._slots.items():
            if slot >= there and running is not None:
                self._queue.insert(0, (running.spec, running.future))
                self._slots[slot] = None
                self._warm.discard(slot)
        waiting = {slot: running for slot, running in self._slots.items() if slot < there}
        away = {slot: running for slot, running in self._slots.items() if slot >= there}
        self._slots = waiting
        super()._advance(now)
        self._slots |= away


@dataclass
class FleetStage(Stage):
    """A stage whose runner has workers of other machines."""

    fleet: bool = True
    patience_s: float = 600.0
    here: Callable[[float], int] = lambda _: 2
    others: list[WorkerInfo] = field(default_factory=list)

    @contextmanager
    def open_engine(self, workers: int) -> Iterator[FakeEngine]:
        engine = FleetEngine(
            self.clock,
            self.blobs,
            workers,
            self.fate,
            self.accuracy,
            self.start_s,
            here=self.here,
            others=self.others,
        )
        self.engines.append(engine)
        try:
            yield engine
        finally:
            engine.close()

    def resume(self) -> None:
        self.tables.resume("r1", nobody_is_dead)
        self.runner("runner-b").run_next()


def journal(stage: Stage) -> list[Individual]:
    return stage.tables.individuals("r1", histories=True)


def test_the_seconds_of_a_run_begin_with_the_first_trainer() -> None:
    stage = FleetStage(here=lambda now: 2 if now > START + 100 else 0)
    run = stage.evolve(seconds=60)
    assert run.state == "complete"
    assert 57 <= run.progress.seconds <= 63
    assert 157 <= stage.clock.time - START <= 164
    assert {saved.reason for saved in stage.tables.saved} == {"it waits for trainers", None}
    assert run.reason is None


def test_a_run_without_trainers_fails_after_a_while_and_goes_on_when_there_are() -> None:
    stage = FleetStage(here=lambda _: 0, patience_s=50.0)
    run = stage.evolve(seconds=60)
    assert run.state == "failed"
    assert "no trainer came within 50 s" in str(run.reason)
    assert 50 <= stage.clock.time - START <= 52
    stage.here = lambda _: 2
    stage.resume()
    assert stage.tables.get("r1").state == "complete"


def test_a_run_that_waits_for_trainers_can_be_stopped() -> None:
    stage = FleetStage(here=lambda _: 0)
    stage.clock.alarms.append(lambda now: stage.tables.stops.add("r1") if now > 1030 else None)
    assert stage.evolve(seconds=60).state == "stopped"
    assert stage.clock.time < 1035


def test_trainers_that_leave_for_a_while_cost_a_run_nothing_but_the_time() -> None:
    stage = FleetStage(here=lambda now: 0 if 1020 < now < 1035 else 2)
    assert stage.evolve(seconds=60).state == "complete"
    assert stage.clock.time - START <= 63
    assert stage.engine.jobs("final")


@pytest.mark.parametrize("away", [(1012.0, 1030.0), (1040.0, 1200.0), (1060.0, 1061.0)])
def test_a_deterministic_run_is_the_same_whoever_leaves(away: tuple[float, float]) -> None:
    undisturbed = Stage()
    undisturbed.evolve(**SAME)
    stage = FleetStage(here=lambda now: 0 if away[0] < now < away[1] else 1)
    assert stage.evolve(**SAME).state == "complete"
    assert comparable(journal(stage)) == comparable(journal(undisturbed))
    assert sorted(stage.blobs.held) == sorted(undisturbed.blobs.held)


def test_a_winner_is_trained_though_nobody_is_there_when_its_search_ends() -> None:
    stage = FleetStage()

    def here(_: float) -> int:
        # Gone for a minute from the moment at which the last candidate was trained.
        rows = stage.tables.rows.get("r1", {}).values()
        ended = [known.at for row in rows for known in row.evaluations if known.state == "finished"]
        if len(rows) == SAME["evaluations"] and not stage.engine.jobs("final"):
            return int(stage.clock.time > START + max(at or 0.0 for at in ended) + 60.0)
        return 1

    stage.here = here
    assert stage.evolve(**SAME).state == "complete"
    assert len(stage.engine.jobs("final")) == 1


def test_a_run_whose_trainers_never_come_back_fails_and_is_taken_up_later() -> None:
    stage = FleetStage(here=lambda now: 0 if now > START + 40 else 2, patience_s=100.0)
    run = stage.evolve(seconds=None, evaluations=30)
    assert run.state == "failed"
    assert "no trainer was there for 100 s" in str(run.reason)
    assert 140 <= stage.clock.time - START <= 142
    stage.here = lambda _: 2
    stage.resume()
    assert stage.tables.get("r1").state == "complete"
    trained = [job for engine in stage.engines for job in engine.trained]
    assert len(trained) == len(set(trained))


@pytest.mark.parametrize("after", [20.0, 40.0, 57.5])
def test_a_run_whose_broker_is_gone_fails_with_its_reason_and_keeps_what_it_has(
    after: float,
) -> None:
    stage = FleetStage(here=lambda now: -1 if now > START + after else 2)
    run = stage.evolve(seconds=60)
    assert (run.state, run.reason) == ("failed", "the broker is away")
    assert run.progress.workers == []
    before = [each for each in journal(stage) if each.outcome == "ok"]
    assert before
    stage.here = lambda _: 2
    stage.resume()
    assert stage.tables.get("r1").state == "complete"
    now = {each.number: each for each in journal(stage)}
    assert all(now[each.number].fitness is not None for each in before)


def test_no_winner_of_a_fleet_is_trained_alone_and_eight_at_most_are_trained_longer() -> None:
    for workers, finalists in ((20, 8), (3, 3)):
        stage = FleetStage(here=lambda _: 99)
        assert stage.evolve(seconds=600, evaluations=24, workers=workers).state == "complete"
        assert len(stage.engines) == 1
        assert len(stage.engine.jobs("final")) == finalists


def test_trainings_of_a_fleet_are_kept_on_their_way_until_their_end_is_known() -> None:
    stage, seen = FleetStage(), list[set[str]]()

    def keep(spec: JobSpec) -> None:
        if spec.function == TRAIN_FUNCTION:
            job = TrainJob.model_validate(spec.arguments)
            assert (job.checkpoint, job.keep_every_s) == (f"under-way/{spec.id}", 2.0)
            stage.blobs.put(f"checkpoints/{job.checkpoint}/00000001-00000000.npz", b"numbers")

    stage.fate = keep
    names = "checkpoints/under-way/"
    stage.clock.alarms.append(lambda _: seen.append(set(stage.blobs.names(names))))
    run = stage.evolve(seconds=60)
    assert run.state == "complete"
    # Those of the two under way, and of one or two whose end was just told.
    assert 1 <= max(map(len, seen)) <= 4
    assert len(set[str]().union(*seen)) >= 15
    assert list(stage.blobs.names(names)) == []


def test_a_fleets_training_of_which_nothing_was_told_keeps_its_checkpoint_for_the_next_runner() -> (
    None
):
    stage = FleetStage()
    stage.blobs.put("checkpoints/under-way/r1/1/1/00000004-00000000.npz", b"numbers")
    stage.clock.alarms.append(lambda now: interrupt() if now > START + 3 else None)
    with pytest.raises(KeyboardInterrupt):
        stage.evolve(seconds=60)
    assert list(stage.blobs.names("checkpoints/under-way/"))
    stage.clock.alarms.clear()
    stage.resume()
    assert stage.tables.get("r1").state == "complete"
    assert list(stage.blobs.names("checkpoints/")) == []


class KillingFleet(Killing, FleetStage):
    """A fleet whose evolver can be killed."""


def test_a_training_that_outlives_many_evolvers_is_not_their_end() -> None:
    stage = KillingFleet()
    stage.tables.add(queued_run("r1", seconds=600, evaluations=4))
    for _ in range(8):
        stage.kill_at(stage.clock.time + 3.0)
        assert stage.go_on_until_killed()
    assert stage.go_on().state == "complete"
    assert {each.outcome for each in journal(stage)} == {"ok"}
    assert max(known.attempt for each in journal(stage) for known in each.evaluations) == 9


def interrupt() -> None:
    raise KeyboardInterrupt


def test_candidates_can_ask_for_a_device() -> None:
    for device in (None, "gpu"):
        stage = FleetStage()
        stage.evolve(seconds=20, device=device)
        trainings = [spec for spec in stage.engine.specs if spec.function == TRAIN_FUNCTION]
        assert {spec.device for spec in trainings} == {device}


def test_no_training_of_this_machine_is_kept_on_its_way() -> None:
    stage = Stage()
    stage.evolve(seconds=30)
    trainings = [spec for spec in stage.engine.specs if spec.function == TRAIN_FUNCTION]
    assert {spec.arguments["checkpoint"] for spec in trainings} == {None}


@pytest.mark.parametrize("kind", [Stage, FleetStage])
def test_results_stay_until_the_run_ends(kind: type[Stage]) -> None:
    stage, seen = kind(), list[int]()

    def look(_: float) -> None:
        ended = [known for row in stage.tables.rows.get("r1", {}).values() for known in _ok(row)]
        stored = list(stage.blobs.names("results/r1/"))
        assert len(stored) >= len(ended)
        seen.append(len(stored))

    stage.clock.alarms.append(look)
    assert stage.evolve(seconds=60).state == "complete"
    assert max(seen) > 20
    assert list(stage.blobs.names("results/")) == []


def _ok(row: Individual) -> list[object]:
    return [known for known in row.evaluations if known.outcome == "ok"]


def of_another_processor(number: int, times: int) -> Callable[[JobSpec], JobResult | None]:
    """Return the fate that an individual is measured on another processor so many times."""
    left = [times]

    def fate(spec: JobSpec) -> JobResult | None:
        if spec.function != MEASURE_FUNCTION or f"/{number}/" not in spec.id or not left[0]:
            return None
        left[0] -= 1
        value = LatencyResult(latency_us=0.1, cpu="another").model_dump()
        return JobResult(id=spec.id, outcome="ok", value=value)

    return fate


@pytest.mark.parametrize(("times", "asked", "cpu"), [(2, 3, "a processor"), (9, 5, "another")])
def test_a_latency_of_another_processor_is_asked_for_again_a_few_times(
    times: int, asked: int, cpu: str
) -> None:
    stage = FleetStage(fate=of_another_processor(3, times))
    stage.evolve(seconds=60, objectives=["accuracy", "latency"])
    ids = [spec.id for spec in stage.engine.specs if spec.id.startswith("r1/3/latency")]
    names = ["latency", *(f"latency-{number}" for number in range(2, asked + 1))]
    assert ids == [f"r1/3/{name}" for name in names]
    assert stage.tables.individuals("r1")[2].cpu == cpu


def test_one_machine_has_one_processor_and_is_asked_once() -> None:
    stage = Stage(fate=of_another_processor(3, 1))
    stage.evolve(seconds=60, objectives=["accuracy", "latency"])
    ids = [spec.id for spec in stage.engine.specs if spec.id.startswith("r1/3/latency")]
    assert ids == ["r1/3/latency"]


def test_workers_that_train_for_other_runs_are_not_shown_in_this_one() -> None:
    others = [WorkerInfo(name="far/1", job="r2/7/1", since=1.0), WorkerInfo(name="far/2")]
    stage = FleetStage(others=others)
    assert stage.evolve(seconds=30).state == "complete"
    shown = {worker.name for run in stage.tables.saved for worker in run.progress.workers}
    assert shown == {"worker-0", "worker-1", "far/2"}
