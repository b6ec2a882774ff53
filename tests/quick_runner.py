"""A runner as a process, real but for its engine: `python -m tests.quick_runner FOLDER`.

Its trainings take milliseconds and give what a genome alone decides, so that a test can kill it
many times.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.ports import Engine
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.lease import renewed
from evolver.adapters.run_table import SqlRuns
from evolver.adapters.runner_locks import RunnerLocks
from evolver.app import MIGRATIONS
from evolver.runner import Runner
from tests.evolver_builders import FakeEngine, FakeGallery, FakeSensory


@dataclass
class TickingClock(SystemClock):
    """Real time that calls its alarms whenever somebody has slept."""

    alarms: list[Callable[[float], None]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.005))
        for alarm in list(self.alarms):
            alarm(self.monotonic())


def tables(folder: Path) -> tuple[SqlRuns, SqlJournal]:
    database = create_database(sqlite_url(folder / "evolver.sqlite3"))
    migrate(database, MIGRATIONS)
    return SqlRuns(database, SystemClock()), SqlJournal(database)


def drive_one(
    folder: Path,
    name: str,
    clock: SystemClock,
    open_engine: Callable[[int], AbstractContextManager[Engine]],
    *,
    fleet: bool = False,
) -> None:
    """Take up what was interrupted, say so, and drive one run to its end."""
    ledger, journal = tables(folder)
    locks = RunnerLocks(folder / "runners")
    locks.hold(name)
    runner = Runner(
        name=name,
        ledger=ledger,
        journal=journal,
        blobs=FileBlobs(folder / "blobs"),
        sensory=FakeSensory(),
        gallery=FakeGallery(),
        open_engine=open_engine,
        clock=clock,
        sensory_url="http://sensory.test",
        workers=1,
        machine={},
        versions={},
        is_dead=locks.is_dead,
        holding=lambda run: renewed(lambda: ledger.renew(run, name)),
        fleet=fleet,
        # Those whose runner was killed go on by themselves.
        resume_runs=1000,
    )
    runner.recover()
    for run in ledger.newest(10):
        if run.state == "interrupted" or (fleet and run.state == "failed"):
            ledger.resume(run.id, locks.is_dead)
    print("ready", flush=True)
    runner.run_next()


def main(folder: Path, name: str) -> None:
    clock, blobs = TickingClock(), FileBlobs(folder / "blobs")

    @contextmanager
    def open_engine(workers: int) -> Iterator[FakeEngine]:
        yield FakeEngine(
            clock, blobs, workers, start_s=0.0, overhead_s=0.002, export_s=0.05, epoch_s=0.005
        )

    drive_one(folder, name, clock, open_engine)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
