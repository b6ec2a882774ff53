"""A worker as an operator starts it: `python -m trainer.worker`, for as long as a block lasts."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.broker import kill_group

_STOP_S = 20.0


@contextmanager
def real_worker(settings: Mapping[str, str], log: Path) -> Iterator[None]:
    """Run a worker; it is asked to end with the block, and killed where it does not."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer.worker"],
            env={**os.environ, **settings},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            kill_group(process)
