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
from tests.quick_runner import drive_one


def main(folder: Path, name: str, broker_url: str) -> None:
    """Take up what is interrupted, and drive one run to its end."""
    clock, blobs = SystemClock(), FileBlobs(folder / "blobs")

    @contextmanager
    def open_engine(workers: int) -> Iterator[CeleryEngine]:
        engine = CeleryEngine(broker_url=broker_url, blobs=blobs, clock=clock, workers=workers)
        try:
            yield engine
        finally:
            engine.close()

    drive_one(folder, name, clock, open_engine, fleet=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
