"""One cell of the scale benchmark: a search on so many slots, or empty jobs on a real worker."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.broker import Rabbit
from benchmarks.light_worker import LightWorker, LightWorkers, read_ledger
from benchmarks.made_up import (
    DATASET,
    NOTHING_FUNCTION,
    MeasuredSeconds,
    OneSnapshot,
    PatientGallery,
)
from benchmarks.processes import tree
from benchmarks.real_worker import real_worker
from commons.adapters.celery_engine import CeleryEngine
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.errors import DiceboxError, UnavailableError
from commons.jobs import JobSpec
from commons.messages import Fidelity, Run, RunProgress, RunRequest
from commons.ports import Engine
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.run_table import SqlRuns
from evolver.app import MIGRATIONS
from evolver.crew import job_id
from evolver.journal import FINAL_RUNG
from evolver.runner import Runner

_RUN = "scale"
_SLOTS_A_PROCESS = 32
_START_S = 60.0
_WAIT_S = 60.0


def scaled_search(
    rabbit: Rabbit, slots: int, each: int, seconds: MeasuredSeconds, work: Path
) -> dict[str, Any]:
    """Return the figures of a search of `each` made-up trainings a slot."""
    work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=work) as name, LightWorkers() as workers:
        folder = Path(name)
        ledger = folder / "ledger"
        for number, share in enumerate(_shares(slots), 1):
            workers.start(
                LightWorker(
                    environ=worker_environ(rabbit.url, folder, share, str(number)),
                    seconds=list(seconds.measured),
                    factor=seconds.factor,
                    ledger=ledger,
                    output=folder / f"worker-{number}.log",
                )
            )
        watched = {"broker": rabbit.processes, "worker": [workers.root]}
        before = {who: _cpu_seconds(roots) for who, roots in watched.items()}
        began, own = time.monotonic(), time.process_time()
        submitted = _searched(rabbit, slots, slots * each, folder)
        own, wall = time.process_time() - own, time.monotonic() - began
        spent = {who: _cpu_seconds(roots) - before[who] for who, roots in watched.items()}
        figures = search_figures(submitted, read_ledger(ledger))
    trainings = len(submitted)
    cores = os.cpu_count() or 1
    return {
        **figures,
        "trainings": trainings,
        "evolver_ms": 1000 * own / trainings,
        **{f"{who}_ms": 1000 * cpu / trainings for who, cpu in spent.items()},
        "load": (own + sum(spent.values())) / (wall * cores),
    }


def empty_jobs(rabbit: Rabbit, jobs: int, work: Path) -> dict[str, Any]:
    """Return how long jobs that do nothing take on a real worker, one after another."""
    work.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=work) as name,
        real_worker(worker_environ(rabbit.url, Path(name), 1, "real"), Path(name) / "worker.log"),
        _engine(rabbit, Path(name), 1) as engine,
    ):
        took = []
        for number in range(jobs + 1):
            began = time.perf_counter()
            spec = JobSpec(id=f"empty/{number}", function=NOTHING_FUNCTION, arguments={})
            result = engine.submit(spec).result(_WAIT_S)
            took.append(1000 * (time.perf_counter() - began))
            if result.outcome != "ok":
                raise DiceboxError(f"an empty job ended as {result.outcome}: {result.reason}")
    # The first one starts the worker's child.
    return {"median_ms": median(took[1:]), "p99_ms": float(np.quantile(took[1:], 0.99))}


def search_figures(
    submitted: Mapping[str, float], ledger: Iterable[Mapping[str, Any]]
) -> dict[str, float]:
    """Return speed-up and waiting of a search.

    The window begins with the first training and ends when the last one of the search begins:
    after that there is nothing left to do for a slot that is free.

    Args:
        submitted: When each training of the search was submitted, by its job, in unix seconds.
        ledger: What the workers wrote down.
    """
    times: dict[str, dict[str, float]] = {}
    for line in ledger:
        times.setdefault(line["job"], {}).setdefault(line["what"], line["time"])
    spans = {job: (times[job]["start"], times[job]["end"]) for job in submitted}
    first = min(start for start, _ in spans.values())
    last = max(start for start, _ in spans.values())
    busy = sum(max(0.0, min(end, last) - start) for start, end in spans.values())
    waits = [1000 * (spans[job][0] - asked) for job, asked in submitted.items()]
    return {
        "speed_up": busy / (last - first) if last > first else 0.0,
        "window_s": last - first,
        "wait_p50_ms": float(np.quantile(waits, 0.5)),
        "wait_p99_ms": float(np.quantile(waits, 0.99)),
    }


def worker_environ(broker_url: str, folder: Path, slots: int, name: str) -> dict[str, str]:
    """Return the settings of a worker that keeps everything in a folder."""
    return {
        "DICEBOX_BROKER_URL": broker_url,
        "DICEBOX_BLOBS_URL": str(folder / "blobs"),
        "DICEBOX_DATA": str(folder / f"data-{name}"),
        "DICEBOX_SLOTS": str(slots),
        "DICEBOX_KIND": "cpu",
    }


def _searched(rabbit: Rabbit, slots: int, evaluations: int, folder: Path) -> dict[str, float]:
    """Evolve, and return when each training of the search was submitted."""
    database = create_database(sqlite_url(folder / "evolver.sqlite3"))
    migrate(database, MIGRATIONS)
    clock = SystemClock()
    runs, journal = SqlRuns(database, clock), SqlJournal(database)
    request = RunRequest(
        dataset=DATASET,
        seconds=None,
        evaluations=evaluations,
        workers=slots,
        fidelity=Fidelity(rungs=False, cache=False),
        promote="never",
    )
    runs.add(
        Run(
            id=_RUN,
            state="queued",
            request=request,
            snapshot=None,
            shape=None,
            created=clock.now(),
            progress=RunProgress(),
        )
    )
    with ExitStack() as stack:
        stack.callback(database.dispose)
        engine = stack.enter_context(_engine(rabbit, folder, slots))
        Runner(
            name="scale",
            ledger=runs,
            journal=journal,
            blobs=FileBlobs(folder / "blobs"),
            sensory=OneSnapshot(),
            gallery=PatientGallery(),
            open_engine=lambda _: nullcontext(engine),
            clock=clock,
            sensory_url="http://nobody.test",
            workers=slots,
            machine={},
            versions={},
            is_dead=lambda _: False,
            holding=lambda _: nullcontext(),
            fleet=True,
        ).run_next()
        run = runs.get(_RUN)
        if run.state != "complete":
            raise DiceboxError(f"the run ended as {run.state}: {run.reason}")
        return {
            job_id(_RUN, individual.number, known.rung): known.started
            for individual in journal.individuals(_RUN)
            for known in individual.evaluations
            if known.outcome == "ok" and known.rung != FINAL_RUNG
            if known.started is not None
        }


@contextmanager
def _engine(rabbit: Rabbit, folder: Path, slots: int) -> Iterator[Engine]:
    """Give an engine that knows of all slots already."""
    engine = CeleryEngine(
        broker_url=rabbit.url,
        blobs=FileBlobs(folder / "blobs"),
        clock=SystemClock(),
        workers=slots,
    )
    try:
        until = time.monotonic() + _START_S
        while engine.capacity() < slots:
            if time.monotonic() > until:
                raise UnavailableError(f"{engine.capacity()} of {slots} slots came")
            time.sleep(0.05)
        yield engine
    finally:
        engine.close()


def _shares(slots: int) -> list[int]:
    """Return how many slots each worker process has."""
    whole, rest = divmod(slots, _SLOTS_A_PROCESS)
    return [_SLOTS_A_PROCESS] * whole + ([rest] if rest else [])


def _cpu_seconds(roots: Sequence[int]) -> float:
    """Return what process trees that go on have used of processors so far."""
    times = [process.cpu_times() for root in roots for process in tree(root)]
    return float(sum(each.user + each.system for each in times))
