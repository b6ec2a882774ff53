"""Workers of the fleet as processes, for tests: real but for how they are started.

`python -m tests.engine_workers` imports once what a worker imports, and forks a worker for each
line that it reads: one starts in a tenth of a second.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WAIT_S = 30.0


@dataclass
class WorkerProcess:
    """One of them, which leads a process group of its own."""

    pid: int
    log: Path

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill_group(self) -> None:
        """End it and all that it started as a lost power line would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = WAIT_S) -> None:
        """Return once it has ended."""
        eventually(lambda: not self.lives(), seconds)

    def lives(self) -> bool:
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass
class WorkerStarter:
    """Starts workers with a broker and a folder of their own."""

    process: "subprocess.Popen[str]"
    workers: list[WorkerProcess] = field(default_factory=list)

    def start(
        self, broker_url: str, folder: Path, *, ready: bool = True, **environment: str
    ) -> WorkerProcess:
        """Start one, and return once it consumes.

        Args:
            broker_url: Of a RabbitMQ.
            folder: Its data; the blobs are `blobs` in it unless the environment says otherwise.
            ready: Whether to wait.
            environment: Further settings, as `DICEBOX_SLOTS="2"`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"worker-{len(self.workers)}.log"
        environ = {
            "DICEBOX_BROKER_URL": broker_url,
            "DICEBOX_DATA": str(folder),
            "DICEBOX_KIND": "cpu",
            **environment,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"environ": environ, "log": str(log)}) + "\n")
        self.process.stdin.flush()
        worker = WorkerProcess(int(self.process.stdout.readline()), log)
        self.workers.append(worker)
        if ready:
            eventually(lambda: "trains" in worker.said() or not worker.lives())
            assert worker.lives(), worker.said()
        return worker

    def end_all(self) -> None:
        """End those that still live."""
        for worker in self.workers:
            worker.kill_group()
        self.workers.clear()


@contextmanager
def worker_starter() -> Iterator[WorkerStarter]:
    command = [sys.executable, "-m", "tests.engine_workers"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    starter = WorkerStarter(process)
    try:
        yield starter
    finally:
        starter.end_all()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.wait(WAIT_S)


def eventually(condition: Callable[[], Any], seconds: float = WAIT_S) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)
    return value


def main() -> None:
    from commons.adapters.parent_death import end_with_parent  # noqa: PLC0415
    from trainer import worker_process  # noqa: PLC0415

    end_with_parent()
    # Ended workers are waited for by nobody.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            end_with_parent(parent=parent)
            output = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            for stream in (1, 2):
                os.dup2(output, stream)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.update(request["environ"])
            worker_process.main()
        print(pid, flush=True)


if __name__ == "__main__":
    main()
