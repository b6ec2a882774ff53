"""Genomes, runs, and an engine that trains nothing, for tests of the evolver."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from commons.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from commons.genome import Genome, genome_hash
from commons.jobs import JobEvent, JobResult, JobSpec, WorkerInfo
from commons.messages import (
    Category,
    Champion,
    Evaluation,
    FreezeRequest,
    Individual,
    Run,
    RunProgress,
    RunRequest,
    Snapshot,
)
from commons.network_card import Metrics, NetworkCard, NetworkFile, Preprocessing, network_id
from commons.shapes import infer_shape
from commons.training import EXPORT_FUNCTION, ExportJob, ExportResult, TrainJob, TrainResult
from evolver.journal import summarised
from evolver.limits import Problem
from evolver.operators import create, cross, mutate
from evolver.runner import Runner
from evolver.search import start_search
from evolver.taxonomy import Taxonomy

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


def card_of(job: ExportJob) -> NetworkCard:
    file = NetworkFile(blob="networks/x", sha256=HASH, bytes=1)
    return NetworkCard(
        dataset=job.dataset,
        snapshot=job.data.snapshot,
        categories=job.categories,
        genome=job.genome,
        genome_hash=genome_hash(job.genome),
        preprocessing=Preprocessing(shape=job.data.shape, resize=job.data.resize, decoder="1"),
        metrics=Metrics(
            validation_accuracy=0.9,
            validation_loss=0.1,
            validation_images=20,
            train_images=100,
            parameters=1,
            onnx_difference=0.0,
        ),
        weights=file,
        keras=file,
        onnx=file,
        run=job.run,
        individual=job.individual,
        created=0.0,
        versions={},
    )


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

    Args:
        fate: May return another result than the good one, or "hang".
        start_s: What a worker needs before its first job, and again after a kill.
    """

    clock: FakeClock
    size: int = 2
    fate: Callable[[JobSpec], JobResult | str | None] = lambda _: None
    start_s: float = 6.0
    overhead_s: float = 1.0
    export_s: float = 3.0
    specs: list[JobSpec] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
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

    def jobs(self, rung: str) -> list[JobSpec]:
        return [spec for spec in self.specs if spec.id.endswith(f"/{rung}")]

    def _advance(self, now: float) -> None:
        for slot, running in self._slots.items():
            if running and running.end <= now:
                self._slots[slot] = None
                running.future.set_result(running.result)
            if self._slots[slot] is None and self._queue:
                self._slots[slot] = self._start(slot, *self._queue.pop(0))

    def _start(self, slot: int, spec: JobSpec, future: "Future[JobResult]") -> _Running:
        now = self.clock.monotonic()
        begin = now + (0.0 if slot in self._warm else self.start_s)
        self._warm.add(slot)
        fate = self.fate(spec)
        seconds, good = self._good(spec)
        result = good.model_copy(update={"worker": f"worker-{slot}"})
        if fate == "hang":
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

    def _good(self, spec: JobSpec) -> tuple[float, JobResult]:
        if spec.function == EXPORT_FUNCTION:
            card = card_of(ExportJob.model_validate(spec.arguments))
            value = ExportResult(card=card).model_dump(mode="json")
            return self.export_s, JobResult(id=spec.id, outcome="ok", value=value)
        job = TrainJob.model_validate(spec.arguments)
        accuracy, loss = synthetic_fitness(job.genome)
        loop = min(job.budget.epochs * 0.1, job.budget.seconds or math.inf)
        progress = {
            "epoch": 1,
            "epochs": job.budget.epochs,
            "loss": loss,
            "accuracy": accuracy,
            "seconds": loop,
        }
        value = TrainResult.model_validate(
            {
                "accuracy": accuracy,
                "loss": loss,
                "epochs": 1,
                "parameters": 1,
                "seconds": loop,
                "build_seconds": self.overhead_s,
                "weights": f"weights/{spec.id.replace('/', '-')}",
                "history": [progress],
            }
        ).model_dump(mode="json")
        return self.overhead_s + loop, JobResult(id=spec.id, outcome="ok", value=value)


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
    """Remembers what was registered and promoted, or refuses."""

    cards: list[NetworkCard] = field(default_factory=list)
    promoted: list[tuple[str, str]] = field(default_factory=list)
    refuses: bool = False

    def register(self, card: NetworkCard) -> str:
        if self.refuses:
            raise InvalidInputError("the card is refused")
        self.cards.append(card)
        return network_id(card)

    def promote(self, dataset: str, network: str) -> Champion:
        self.promoted.append((dataset, network))
        return Champion(dataset=dataset, network=network)


class MemoryRuns:
    """Run table, ledger and journal in memory; passes the same contract suite as the tables."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.saved: list[Run] = []
        self.stops: set[str] = set()
        self.runners: dict[str, str | None] = {}
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

    def claim(self, runner: str) -> Run | None:
        for run in self.runs.values():
            if run.state == "queued":
                self.runners[run.id] = runner
                self.runs[run.id] = run.model_copy(update={"state": "running"})
                return self.runs[run.id]
        return None

    def save(self, run: Run, runner: str) -> None:
        if self.runners.get(run.id) != runner:
            raise ConflictError("it has another runner")
        self.runs[run.id] = run
        self.saved.append(run)

    def stop_requested(self, run: str) -> bool:
        return run in self.stops

    def interrupt_abandoned(self, reason: str) -> list[str]:
        left = [run for run in self.runs.values() if run.state == "running"]
        for run in left:
            update = {"state": "interrupted", "reason": reason}
            self.runs[run.id] = run.model_copy(update=update)
            self.runners[run.id] = None
        return [run.id for run in left]

    def add_individual(self, run: str, individual: Individual) -> None:
        rows = self.rows.setdefault(run, {})
        assert individual.number not in rows, "an individual is born once"
        rows[individual.number] = individual

    def put_evaluation(self, run: str, number: int, evaluation: Evaluation) -> None:
        row = self.rows[run][number]
        others = [known for known in row.evaluations if known.rung != evaluation.rung]
        self.rows[run][number] = row.model_copy(update={"evaluations": [*others, evaluation]})

    def individuals(self, run: str, after: int = 0) -> list[Individual]:
        rows = self.rows.get(run, {})
        return [summarised(rows[number]) for number in sorted(rows) if number > after]


@dataclass
class Stage:
    """A runner with fakes all around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    tables: MemoryRuns = field(default_factory=MemoryRuns)
    sensory: FakeSensory = field(default_factory=FakeSensory)
    gallery: FakeGallery = field(default_factory=FakeGallery)
    fate: Callable[[JobSpec], JobResult | str | None] = lambda _: None
    start_s: float = 6.0
    engines: list[FakeEngine] = field(default_factory=list)

    @property
    def engine(self) -> FakeEngine:
        return self.engines[-1]

    @contextmanager
    def open_engine(self, workers: int) -> Iterator[FakeEngine]:
        engine = FakeEngine(self.clock, workers, self.fate, self.start_s)
        self.engines.append(engine)
        try:
            yield engine
        finally:
            engine.closed = True

    def runner(self, name: str = "runner-a") -> Runner:
        return Runner(
            name=name,
            ledger=self.tables,
            journal=self.tables,
            sensory=self.sensory,
            gallery=self.gallery,
            open_engine=self.open_engine,
            clock=self.clock,
            sensory_url="http://sensory.test",
            workers=2,
        )

    def evolve(self, **values: object) -> Run:
        """Drive one run to its end and return it."""
        self.tables.add(queued_run("r1", **values))
        self.runner().run_next()
        return self.tables.get("r1")
