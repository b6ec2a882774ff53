"""A run that is written into the tables as fast as no engine trains, for the page to watch."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from werkzeug.serving import make_server

from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate, sqlite_url
from commons.genome import Genome, genome_hash
from commons.messages import Evaluation, Run, RunProgress, RunRequest
from dicebox.front import create_front
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.run_table import SqlRuns
from evolver.app import MIGRATIONS
from evolver.journal import new_individual
from evolver.limits import Problem
from evolver.operators import Child, create, mutate
from evolver.search import Birth
from evolver.taxonomy import Taxonomy

RUN = "made-up"
_RUNNER = "benchmark"
_PROBLEM = Problem((28, 28, 1), 10)


@contextmanager
def served(data: Path) -> Iterator[str]:
    """Serve a data folder by threads of this process, with no runner beside it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, create_front(data, watch=False), threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="front")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class WrittenRun:
    """A run in the tables of a data folder, in the hands of nobody but this."""

    def __init__(self, data: Path) -> None:
        database = create_database(sqlite_url(data / "evolver.sqlite3"))
        migrate(database, MIGRATIONS)
        self._runs = SqlRuns(database, SystemClock())
        self._journal = SqlJournal(database)
        self._runs.add(
            Run(
                id=RUN,
                state="queued",
                request=RunRequest(dataset="made-up", seconds=None, evaluations=1_000_000),
                snapshot="0" * 64,
                shape=_PROBLEM.shape,
                created=time.time(),
                progress=RunProgress(phase="searching"),
            )
        )
        claimed = self._runs.claim(_RUNNER)
        if claimed is None:
            raise AssertionError("somebody else claimed the run")
        self._run = claimed
        self._rng = np.random.default_rng(0)
        self._genomes: list[Genome] = []
        self._hashes: set[str] = set()

    def write(self, individuals: int, per_second: float) -> None:
        """Let that many be born and judged, evenly spread, and end the run."""
        started = time.monotonic()
        for number in range(1, individuals + 1):
            time.sleep(max(0.0, started + number / per_second - time.monotonic()))
            self._write(number, time.monotonic() - started)
        ended = self._run.model_copy(update={"state": "complete"})
        self._runs.save(ended, _RUNNER)

    def _write(self, number: int, seconds: float) -> None:
        accuracy = float(0.5 + 0.45 * (1 - np.exp(-number / 200)) * self._rng.uniform(0.9, 1.0))
        evaluation = Evaluation(
            rung="1",
            state="finished",
            outcome="ok",
            accuracy=accuracy,
            loss=1 - accuracy,
            epochs=4,
            seconds=1.0,
            started=time.time(),
            ended=time.time(),
            at=seconds,
            worker="worker-0",
        )
        individual = new_individual(number, self._birth(number), _PROBLEM, evaluation)
        self._journal.add_individual(RUN, individual, _RUNNER)
        best = max(self._run.progress.best or 0.0, accuracy)
        progress = self._run.progress.model_copy(
            update={"births": number, "evaluated": number, "seconds": seconds, "best": best}
            | ({"best_individual": number} if best == accuracy else {})
        )
        self._run = self._run.model_copy(update={"progress": progress})
        self._runs.save(self._run, _RUNNER)

    def _birth(self, number: int) -> Birth:
        """Return a mutation of one of the latest, or somebody new; nobody is born twice."""
        while True:
            parent = int(self._rng.integers(max(1, number - 50), number)) if number > 1 else 0
            child = self._child(parent)
            if genome_hash(child.genome) not in self._hashes:
                break
        self._hashes.add(genome_hash(child.genome))
        self._genomes.append(child.genome)
        return Birth(child.genome, child.operator, (parent,) if child.operator != "random" else ())

    def _child(self, parent: int) -> Child:
        if parent:
            child = mutate(self._rng, self._genomes[parent - 1], Taxonomy(), _PROBLEM)
            if child is not None:
                return child
        return create(self._rng, Taxonomy(), _PROBLEM)
