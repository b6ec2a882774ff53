"""Workers of the real kind whose trainings sleep, forked from one process that imported all.

`LightWorkers` starts `python -m benchmarks.light_worker`, which forks a worker for every line it
reads: desk, consumer and link are those of `trainer.worker`, the engine is `SleepEngine`.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from benchmarks.made_up import MeasuredSeconds, Trainings
from benchmarks.sleep_engine import SleepEngine
from commons.adapters.blobs import open_blobs
from commons.adapters.parent_death import end_with_parent
from commons.errors import UnavailableError
from commons.settings import settings_from_env

_ALONE = {"OPENBLAS_NUM_THREADS": "1"}  # threads of numpy's would not survive a fork


class LightWorker(BaseModel):
    """One worker.

    Args:
        environ: The settings of `trainer.worker`, as its environment; the blobs among them.
        seconds: Real seconds of trainings, of which each gets one by its id.
        factor: What they are multiplied by.
        leaves: Whether weights and checkpoints are really stored.
        ledger: Where starts and ends of jobs are written down.
        output: Where standard output and error go.
    """

    model_config = ConfigDict(frozen=True)

    environ: dict[str, str]
    seconds: list[float]
    factor: float = 1.0
    leaves: bool = False
    ledger: Path
    output: Path


class LightWorkers:
    """Starts and counts light workers; as a context manager it kills those that are left.

    Args:
        environ: Added to their environment, as `/proc` shows it.
        before: Words before the command, such as those that enter a network namespace.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> None:
        self._environ = environ or {}
        self._before = before
        self._process: subprocess.Popen[str] | None = None
        self.started: list[int] = []

    def __enter__(self) -> Self:
        """Start the process that forks, which takes a second."""
        self._process = subprocess.Popen(
            [*self._before, sys.executable, "-m", "benchmarks.light_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_ALONE, **self._environ},
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all workers, and the process that forked them."""
        if self._process is not None:
            self._process.kill()  # its workers end with it
            self._process.communicate()

    @property
    def root(self) -> int:
        """Return the process that forks."""
        if self._process is None:
            raise UnavailableError("no worker can be started yet")
        return self._process.pid

    def start(self, worker: LightWorker) -> int:
        """Return the process of a new worker, which leads a group of its own.

        Raises:
            UnavailableError: None can be started.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise UnavailableError("no worker can be started yet")
        process.stdin.write(worker.model_dump_json() + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise UnavailableError("the process that forks light workers has ended")
        self.started.append(int(answer))
        return self.started[-1]


def main() -> None:
    """Fork a worker for every line of standard input and say its process id."""
    # All that a worker needs is imported before the first fork.
    from trainer.worker_process import run  # noqa: F401, PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    parent = os.getpid()
    for line in sys.stdin:
        worker = LightWorker.model_validate_json(line)
        child = os.fork()
        if child == 0:
            os.setsid()
            end_with_parent(parent=parent)
            _work(worker)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def _work(worker: LightWorker) -> None:
    """Be a worker, and never return."""
    from trainer.worker_process import Settings, run, worker_name  # noqa: PLC0415 - nothing imported is imported again

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with Path(os.devnull).open("rb") as nothing, worker.output.open("ab") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    code = 1
    try:
        settings = settings_from_env(Settings, {**os.environ, **worker.environ})
        engine = SleepEngine(
            slots=settings.slots or 1,
            name=worker_name(),
            blobs=open_blobs(worker.environ["DICEBOX_BLOBS_URL"]),
            pretend=Trainings(MeasuredSeconds(worker.seconds, worker.factor), leaves=worker.leaves),
            ledger=worker.ledger,
        )
        run(settings, engine)
        code = 0
    except BaseException:  # it has no caller that could print it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def read_ledger(ledger: Path) -> list[dict[str, object]]:
    """Return the lines that light workers wrote down, oldest first."""
    if not ledger.exists():
        return []
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
