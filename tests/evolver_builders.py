"""Genomes, runs, and an engine that trains nothing, for tests of the evolver."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np

from benchmarks.made_up import made_up_card
from commons.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from commons.genome import Genome, genome_hash
from commons.jobs import JobEvent, JobResult, JobSpec, WorkerInfo, result_blob, stored_result
from commons.messages import (
    Category,
    Evaluation,
    FreezeRequest,
    Individual,
    Run,
    RunProgress,
    RunRequest,
    Snapshot,
)
from commons.network_card import NetworkCard, network_id
from commons.ports import Blobs
from commons.shapes import infer_shape
from commons.training import (
    EXPORT_FUNCTION,
    MEASURE_FUNCTION,
    READY_FUNCTION,
    ExportJob,
    ExportResult,
    LatencyJob,
    LatencyResult,
    TrainJob,
    TrainResult,
)
from commons.trial_messages import Trial, TrialRequest, TrialState
from evolver.journal import summarised
from evolver.limits import Problem
from evolver.operators import create, cross, mutate
from evolver.ports import BlobKind
from evolver.runner import Runner
from evolver.search import start_search
from evolver.taxonomy import Taxonomy
from tests.memory_blobs import MemoryBlobs

SHAPES = (
    (8, 8, 1),
    (1, 1, 1),
    (28, 28, 1),
    (32, 32, 3),
    (17, 40, 3),
    (64, 64, 3),
    (224, 224, 3),
)
HASH = "a" * 64
EPOCH_S = 0.1


def problem(shape: tuple[int, int, int] = (8, 8, 1), categories: int = 10) -> Problem:
    return Problem(shape, categories)


def genomes(
    count: int, shapes: tuple[tuple[int, int, int], ...] = SHAPES, seed: int = 0
) -> Iterator[tuple[Genome, tuple[int, int, int], int]]:
    """Yield (genome, image shape, categories): seeds, random, mutated and crossed in turn.

    A test that really builds them in Keras compares the result with `commons.shapes`.
    """
    rng, taxonomy = np.random.default_rng(seed), Taxonomy()
    last: dict[tuple[int, int, int], Genome] = {}
    for number in range(count):
        shape = shapes[number % len(shapes)]
        solved = Problem(shape, int(rng.integers(2, 20)))
        turn = number // len(shapes)
        genome = create(rng, taxonomy, solved).genome
        if turn < 5:
            genome = start_search(taxonomy, solved, seed=0, size=2).seeds[turn]
        elif turn % 3 == 1:
            child = mutate(rng, last[shape], taxonomy, solved)
            assert child is not None
            genome = child.genome
        elif turn % 3 == 2:
            genome = cross(rng, last[shape], genome, taxonomy, solved).genome
        last[shape] = genome
        yield genome, shape, solved.categories


def snapshot(
    *,
    train: int = 100,
    validation: int = 20,
    categories: int = 10,
    median_shape: tuple[int, int, int] = (8, 8, 1),
    dataset: str = "digits",
) -> Snapshot:
    return Snapshot(
        id=HASH,
        dataset=dataset,
        categories=[Category(id=f"c{index}", name=str(index)) for index in range(categories)],
        counts={"train": train, "validation": validation, "test": 7},
        median_shape=median_shape,
        created=0.0,
    )


def request(**values: object) -> RunRequest:
    return RunRequest.model_validate({"dataset": "digits", "workers": 2, **values})


def queued_run(name: str = "r1", **values: object) -> Run:
    return Run(
        id=name,
        state="queued",
        request=request(**values),
        snapshot=None,
        shape=None,
        created=0.0,
        progress=RunProgress(),
    )


def individual(number: int = 1, seed: int = 0) -> Individual:
    genome = create(np.random.default_rng([seed, number]), Taxonomy(), problem()).genome
    return Individual(
        number=number,
        genome=genome.model_dump(mode="json"),
        genome_hash=genome_hash(genome),
        description="a network",
        parents=[],
        operator="random",
        state="submitted",
        parameters=infer_shape(genome, (8, 8, 1), 10).parameters,
        evaluations=[Evaluation(rung="1")],
    )


def nobody_is_dead(_runner: str) -> bool:
    return False


@dataclass
class FakeClock:
    """Time that passes only in `sleep`, a step at least; `alarms` are called as it does."""

    time: float = 1000.0
    step: float = 0.1
    alarms: list[Callable[[float], None]] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += max(seconds, self.step)
        for alarm in self.alarms:
            alarm(self.time)


def synthetic_fitness(genome: Genome) -> tuple[float, float]:
    """Return accuracy and loss: wide networks and a rate near 0.002 do well."""
    network = infer_shape(genome, (8, 8, 1), 10)
    width = min(1.0, math.log10(network.parameters + 1) / 6)
    rate = math.exp(-((math.log10(genome.training.learning_rate) + 2.7) ** 2))
    accuracy = 0.5 + 0.3 * width + 0.2 * rate
    return accuracy, 1.0 - accuracy


@dataclass
class _Running:
    spec: JobSpec
    future: "Future[JobResult]"
    started: float
    end: float
    result: JobResult


@dataclass
class FakeEngine:
    """`Engine` on a `FakeClock`: records what it is given and makes results up.

    Its results are in the blobs before their futures are done, like those of every engine.

    Args:
        fate: May return another result than the good one, or "hang".
        accuracy: May say how good a training is in the end, in place of `synthetic_fitness`.
        start_s: What a worker needs before its first job, and again after a kill.
    """

    clock: FakeClock
    blobs: Blobs = field(default_factory=MemoryBlobs)
    size: int = 2
    fate: Callable[[JobSpec], JobResult | str | None] = lambda _: None
    accuracy: Callable[[JobSpec], float | None] = lambda _: None
    start_s: float = 6.0
    overhead_s: float = 1.0
    export_s: float = 1.2
    epoch_s: float = EPOCH_S
    specs: list[JobSpec] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    trained: list[str] = field(default_factory=list)
    closed: bool = False
    _slots: dict[int, _Running | None] = field(default_factory=dict)
    _warm: set[int] = field(default_factory=set)
    _queue: list[tuple[JobSpec, "Future[JobResult]"]] = field(default_factory=list)
    _events: list[JobEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._slots = dict.fromkeys(range(self.size))
        self.clock.alarms.append(self._advance)

    def submit(self, spec: JobSpec) -> "Future[JobResult]":
        if self.closed:
            raise UnavailableError("the engine is closed")
        self.specs.append(spec)
        future: Future[JobResult] = Future()
        self._queue.append((spec, future))
        self._advance(self.clock.monotonic())
        return future

    def kill(self, job_id: str) -> bool:
        self.killed.append(job_id)
        for slot, running in self._slots.items():
            if running and running.spec.id == job_id:
                running.end = self.clock.monotonic() + 0.2
                running.result = JobResult(id=job_id, outcome="cancelled", worker=f"worker-{slot}")
                self._warm.discard(slot)
                return True
        return False

    def capacity(self) -> int:
        return self.size

    def workers(self) -> list[WorkerInfo]:
        return [
            WorkerInfo(
                name=f"worker-{slot}",
                job=running.spec.id if running else None,
                since=running.started if running else None,
            )
            for slot, running in self._slots.items()
        ]

    def events(self, after: int) -> list[JobEvent]:
        return [event for event in self._events if event.sequence > after]

    def close(self) -> None:
        """End without a word, as a killed one does: nothing under way gets a result."""
        self.closed = True
        if self._advance in self.clock.alarms:
            self.clock.alarms.remove(self._advance)

    def jobs(self, rung: str) -> list[JobSpec]:
        return [spec for spec in self.specs if spec.id.endswith(f"/{rung}")]

    def _advance(self, now: float) -> None:
        for slot, running in self._slots.items():
            if running and running.end <= now:
                self._slots[slot] = None
                self._finish(running)
            if self._slots[slot] is None and self._queue:
                self._slots[slot] = self._start(slot, *self._queue.pop(0))

    def store(self, spec: JobSpec) -> None:
        """Store the result of a job as its worker does."""
        self._store(self._good(spec, self.clock.now())[1])

    def _store(self, result: JobResult) -> None:
        value = result.value or {}
        if result.outcome == "ok":
            for kind in ("weights", "checkpoint"):
                if value.get(kind):
                    self.blobs.put(value[kind], b"numbers")
            if self.blobs.put(result_blob(result.id), result.model_dump_json().encode()):
                self.trained.append(result.id)

    def _finish(self, running: _Running) -> None:
        self._store(running.result)
        running.future.set_result(running.result)

    def _start(self, slot: int, spec: JobSpec, future: "Future[JobResult]") -> _Running:
        now = self.clock.monotonic()
        begin = now + (0.0 if slot in self._warm else self.start_s)
        self._warm.add(slot)
        fate = self.fate(spec)
        seconds, good = self._good(spec, begin)
        result = good.model_copy(update={"worker": f"worker-{slot}"})
        known = stored_result(self.blobs, spec.id)
        if known is not None:
            seconds, result = 0.0, known
        elif fate == "hang":
            seconds = math.inf
        elif isinstance(fate, JobResult):
            result = fate
        if spec.timeout_s is not None and begin + seconds > now + spec.timeout_s:
            begin, seconds = now, spec.timeout_s
            result = JobResult(id=spec.id, outcome="timed-out", reason="too long")
        data = {"epoch": 1, "epochs": 40, "accuracy": 0.5}
        self._events.append(
            JobEvent(
                sequence=len(self._events) + 1,
                job=spec.id,
                worker=f"worker-{slot}",
                time=now,
                data=data,
            )
        )
        return _Running(spec, future, now, begin + seconds, result)

    def _good(self, spec: JobSpec, begin: float) -> tuple[float, JobResult]:
        if spec.function == EXPORT_FUNCTION:
            card = made_up_card(ExportJob.model_validate(spec.arguments), accuracy=0.9)
            value = ExportResult(card=card).model_dump(mode="json")
            return self.export_s, JobResult(id=spec.id, outcome="ok", value=value)
        if spec.function == MEASURE_FUNCTION:
            genome = LatencyJob.model_validate(spec.arguments).genome
            parameters = infer_shape(genome, (8, 8, 1), 10).parameters
            measured = LatencyResult(latency_us=parameters / 100.0, cpu="a processor")
            return 0.3, JobResult(id=spec.id, outcome="ok", value=measured.model_dump())
        if spec.function == READY_FUNCTION:
            return 0.5, JobResult(id=spec.id, outcome="ok", value={})
        job = TrainJob.model_validate(spec.arguments)
        accuracy, loss = synthetic_fitness(job.genome)
        accuracy = self.accuracy(spec) or accuracy
        before = self._before(job)
        epochs = job.budget.epochs
        seconds_in_all = job.budget.seconds
        if job.until is not None:
            seconds_in_all = job.until - begin - self.overhead_s
        if seconds_in_all is not None:
            epochs = min(epochs, max(1, int(seconds_in_all / self.epoch_s + 1e-6)))
        history = [
            {
                "epoch": epoch,
                "epochs": job.budget.epochs,
                "loss": loss,
                "accuracy": accuracy * (1.0 - 0.5 / (1 + epoch)),
                "seconds": epoch * self.epoch_s,
            }
            for epoch in range(1, epochs + 1)
        ]
        history[-1]["accuracy"] = accuracy
        inherited = job.inherit is not None and self.blobs.exists(job.inherit.weights)
        value = TrainResult.model_validate(
            {
                "accuracy": accuracy,
                "loss": loss,
                "epochs": epochs,
                "parameters": 1,
                "seconds": epochs * self.epoch_s,
                "build_seconds": self.overhead_s,
                "weights": f"weights/{spec.id}/x.npz",
                "checkpoint": f"checkpoints/{spec.id}/x.npz" if job.leave_checkpoint else None,
                "resumed": before > 0,
                "inherited_share": 0.5 if inherited else 0.0,
                "history": history,
            }
        ).model_dump(mode="json")
        seconds = self.overhead_s + max(0, epochs - before) * self.epoch_s
        return seconds, JobResult(id=spec.id, outcome="ok", value=value)

    def _before(self, job: TrainJob) -> int:
        """Return after how many epochs the checkpoint was made that a job goes on from."""
        if job.start is None or not self.blobs.exists(job.start):
            return 0
        return job.budget.epochs // 3


@dataclass
class FakeSensory:
    """Knows one snapshot and remembers what was frozen."""

    known: Snapshot = field(default_factory=snapshot)
    frozen: list[FreezeRequest] = field(default_factory=list)

    def freeze(self, dataset: str, request: FreezeRequest) -> Snapshot:
        if dataset != self.known.dataset:
            raise NotFoundError(f"there is no dataset {dataset}")
        self.frozen.append(request)
        return self.known

    def snapshot(self, snapshot: str) -> Snapshot:
        if snapshot != self.known.id:
            raise NotFoundError(f"there is no snapshot {snapshot}")
        return self.known


@dataclass
class FakeGallery:
    """Remembers what was registered and promoted, or refuses.

    A trial has the first of the states, and each time it is looked at the next one.
    """

    cards: list[NetworkCard] = field(default_factory=list)
    promoted: list[tuple[str, str]] = field(default_factory=list)
    refuses: bool = False
    states: list[TrialState] = field(default_factory=lambda: ["promoted"])
    tried: list[Trial] = field(default_factory=list)

    def register(self, card: NetworkCard) -> str:
        if self.refuses:
            raise InvalidInputError("the card is refused")
        self.cards.append(card)
        return network_id(card)

    def try_out(self, dataset: str, request: TrialRequest) -> Trial:
        state: TrialState = self.states[0]
        if state == "promoted":
            self.promoted.append((dataset, request.network))
        trial = Trial(
            id=1,
            dataset=dataset,
            network=request.network,
            champion=None,
            mode=request.mode,
            share=0.1,
            promote=request.promote,
            state=state,
            started=0.0,
            reason="the judge said so",
        )
        self.tried.append(trial)
        return trial

    def trials(self, dataset: str) -> list[Trial]:
        if len(self.states) > 1:
            self.states.pop(0)
        return [self.tried[-1].model_copy(update={"state": self.states[0]})]


class MemoryRuns:
    """Run table, ledger and journal in memory; passes the same contract suite as the tables."""

    def __init__(self, clock: FakeClock | None = None, lease_s: float = 15.0) -> None:
        self.clock = clock or FakeClock()
        self.lease_s = lease_s
        self.runs: dict[str, Run] = {}
        self.saved: list[Run] = []
        self.stops: set[str] = set()
        self.runners: dict[str, str | None] = {}
        self.leases: dict[str, float] = {}
        self.rows: dict[str, dict[int, Individual]] = {}

    def add(self, run: Run) -> None:
        self.runs[run.id] = run

    def get(self, run: str) -> Run:
        if run not in self.runs:
            raise NotFoundError(f"there is no run {run}")
        return self.runs[run]

    def newest(self, limit: int) -> list[Run]:
        return list(reversed(self.runs.values()))[:limit]

    def request_stop(self, run: str) -> Run:
        found = self.get(run)
        self.stops.add(run)
        if found.state == "queued":
            self.runs[run] = found.model_copy(update={"state": "stopped"})
        return self.runs[run]

    def resume(self, run: str, is_dead: Callable[[str], bool]) -> Run:
        found = self.get(run)
        if found.state == "queued":
            return found
        if found.state in ("complete", "stopped"):
            raise ConflictError(f"run {run} is {found.state}")
        if found.state == "running" and not self._is_abandoned(run, is_dead):
            raise ConflictError(f"run {run} is under way")
        update = {"state": "queued", "reason": None, "resumed": found.resumed + 1}
        self.runs[run] = found.model_copy(update=update)
        self.runners[run] = None
        self.stops.discard(run)
        return self.runs[run]

    def give_up(self, run: str, reason: str) -> Run:
        found = self.get(run)
        if found.state in ("complete", "stopped"):
            return found
        if found.state not in ("interrupted", "failed"):
            raise ConflictError(f"run {run} is {found.state}")
        self.runs[run] = found.model_copy(update={"state": "stopped", "reason": reason})
        return self.runs[run]

    def claim(self, runner: str) -> Run | None:
        for run in self.runs.values():
            if run.state == "queued":
                self.runners[run.id] = runner
                self.leases[run.id] = self.clock.now() + self.lease_s
                self.runs[run.id] = run.model_copy(update={"state": "running"})
                return self.runs[run.id]
        return None

    def save(self, run: Run, runner: str) -> None:
        self.renew(run.id, runner)
        self.runs[run.id] = run
        self.saved.append(run)

    def renew(self, run: str, runner: str) -> None:
        self._check_holder(run, runner)
        self.leases[run] = self.clock.now() + self.lease_s

    def stop_requested(self, run: str) -> bool:
        return run in self.stops

    def interrupt_abandoned(
        self, reason: str, is_dead: Callable[[str], bool], resumes: int = 0
    ) -> list[str]:
        states = ("running", "interrupted") if resumes else ("running",)
        known = [run for run in self.runs.values() if run.state in states]
        left = []
        for run in known:
            goes_on = run.resumed < resumes and run.id not in self.stops
            if not self._is_abandoned(run.id, is_dead) or (
                run.state == "interrupted" and not goes_on
            ):
                continue
            update: dict[str, object] = {"state": "interrupted", "reason": reason}
            if goes_on:
                update = {"state": "queued", "reason": None, "resumed": run.resumed + 1}
            self.runs[run.id] = run.model_copy(update=update)
            self.runners[run.id] = None
            left.append(run.id)
        return left

    def add_individual(self, run: str, individual: Individual, runner: str) -> None:
        self._check_holder(run, runner)
        rows = self.rows.setdefault(run, {})
        known = {row.genome_hash for row in rows.values()}
        if individual.number in rows or individual.genome_hash in known:
            raise ConflictError("it was born twice")
        rows[individual.number] = individual

    def put_evaluation(self, run: str, number: int, evaluation: Evaluation, runner: str) -> None:
        self._check_holder(run, runner)
        row = self.rows[run][number]
        others = [known for known in row.evaluations if known.rung != evaluation.rung]
        self.rows[run][number] = row.model_copy(update={"evaluations": [*others, evaluation]})

    def put_latency(self, run: str, number: int, latency_us: float, cpu: str, runner: str) -> None:
        self._check_holder(run, runner)
        update = {"latency_us": latency_us, "cpu": cpu}
        self.rows[run][number] = self.rows[run][number].model_copy(update=update)

    def forget_blobs(
        self, run: str, number: int, rung: str, kinds: Sequence[BlobKind], runner: str
    ) -> None:
        known = next(each for each in self.rows[run][number].evaluations if each.rung == rung)
        without = known.model_copy(update=dict.fromkeys(kinds))
        self.put_evaluation(run, number, without, runner)

    def forget_all_blobs(self, run: str) -> None:
        if self.get(run).state not in ("complete", "stopped"):
            raise ConflictError(f"run {run} is {self.get(run).state}")
        gone = {"weights": None, "checkpoint": None}
        for number, row in self.rows.get(run, {}).items():
            known = [each.model_copy(update=gone) for each in row.evaluations]
            self.rows[run][number] = row.model_copy(update={"evaluations": known})

    def individuals(
        self, run: str, after: int = 0, limit: int | None = None, *, histories: bool = False
    ) -> list[Individual]:
        rows = self.rows.get(run, {})
        found = [rows[number] for number in sorted(rows) if number > after][:limit]
        return [summarised(each if histories else _without_histories(each)) for each in found]

    def same_training(self, key: str) -> Evaluation | None:
        for known in self._evaluations():
            if known.key == key and known.outcome == "ok" and known.weights and not known.stopped:
                return known
        return None

    def users_of(self, weights: str) -> int:
        return sum(known.weights == weights for known in self._evaluations())

    def _evaluations(self) -> Iterator[Evaluation]:
        for rows in self.rows.values():
            for row in rows.values():
                yield from row.evaluations

    def _check_holder(self, run: str, runner: str) -> None:
        if self.runners.get(run) != runner:
            raise ConflictError("it has another runner")

    def _is_abandoned(self, run: str, is_dead: Callable[[str], bool]) -> bool:
        runner = self.runners[run]
        return runner is None or self.leases[run] < self.clock.now() or is_dead(runner)


def _without_histories(individual: Individual) -> Individual:
    slim = [known.model_copy(update={"history": []}) for known in individual.evaluations]
    return individual.model_copy(update={"evaluations": slim})


@dataclass
class Stage:
    """A runner with fakes all around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    tables: MemoryRuns = field(default_factory=MemoryRuns)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    sensory: FakeSensory = field(default_factory=FakeSensory)
    gallery: FakeGallery = field(default_factory=FakeGallery)
    fate: Callable[[JobSpec], JobResult | str | None] = lambda _: None
    accuracy: Callable[[JobSpec], float | None] = lambda _: None
    start_s: float = 6.0
    engines: list[FakeEngine] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    fleet: bool = False
    patience_s: float = math.inf
    resume_runs: int = 0

    def __post_init__(self) -> None:
        self.tables.clock = self.clock

    @property
    def engine(self) -> FakeEngine:
        return self.engines[-1]

    @contextmanager
    def open_engine(self, workers: int) -> Iterator[FakeEngine]:
        engine = FakeEngine(self.clock, self.blobs, workers, self.fate, self.accuracy, self.start_s)
        self.engines.append(engine)
        try:
            yield engine
        finally:
            engine.close()

    def runner(self, name: str = "runner-a") -> Runner:
        return Runner(
            name=name,
            ledger=self.tables,
            journal=self.tables,
            blobs=self.blobs,
            sensory=self.sensory,
            gallery=self.gallery,
            open_engine=self.open_engine,
            clock=self.clock,
            sensory_url="http://sensory.test",
            workers=2,
            machine={"cpu": "a processor"},
            versions={"dicebox": "1"},
            is_dead=lambda runner: runner in self.dead,
            holding=lambda _: nullcontext(),
            fleet=self.fleet,
            patience_s=self.patience_s,
            resume_runs=self.resume_runs,
        )

    def evolve(self, **values: object) -> Run:
        """Drive one run to its end and return it."""
        self.tables.add(queued_run("r1", **values))
        self.runner().run_next()
        return self.tables.get("r1")
