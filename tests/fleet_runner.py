"""A runner as a process whose trainings go to a fleet: `python -m tests.fleet_runner …`.

Arguments: the folder with its tables and the fleet's blobs, its name, the broker's address.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commons.adapters.celery_engine import CeleryEngine
from commons.adapters.clock import SystemClock
from commons.adapters.file_blobs import FileBlobs
from evolver.adapters.lease import renewed
from evolver.adapters.runner_locks import RunnerLocks
from evolver.runner import Runner
from tests.evolver_builders import FakeGallery, FakeSensory
from tests.quick_runner import tables


def main(folder: Path, name: str, broker_url: str) -> None:
    """Take up what is interrupted, and drive one run to its end."""
    ledger, journal = tables(folder)
    clock, blobs = SystemClock(), FileBlobs(folder / "blobs")
    locks = RunnerLocks(folder / "runners")
    locks.hold(name)

    @contextmanager
    def open_engine(workers: int) -> Iterator[CeleryEngine]:
        engine = CeleryEngine(broker_url=broker_url, blobs=blobs, clock=clock, workers=workers)
        try:
            yield engine
        finally:
            engine.close()

    runner = Runner(
        name=name,
        ledger=ledger,
        journal=journal,
        blobs=blobs,
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
        fleet=True,
    )
    runner.recover()
    for run in ledger.newest(10):
        if run.state in ("interrupted", "failed"):
            ledger.resume(run.id, locks.is_dead)
    print("ready", flush=True)
    runner.run_next()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
