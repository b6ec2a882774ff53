"""A fleet on a real broker, to be broken and counted: engines, light workers, real workers."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pika
import psutil

from benchmarks.broker import Rabbit, kill_group
from benchmarks.light_worker import LightWorker, LightWorkers, read_ledger
from benchmarks.made_up import SLEEP_FUNCTION
from commons.adapters.celery_engine import CeleryEngine
from commons.adapters.clock import SystemClock
from commons.adapters.file_blobs import FileBlobs
from commons.fleet import DEVICES, jobs_queue
from commons.jobs import JobResult, JobSpec, stored_result
from tests.dicebox_processes import is_alive

WAIT_S = 60.0
HEARTBEAT_S = 1
_MARK = "DICEBOX_TEST_FLEET"
_QUEUES = [queue for kind in DEVICES for queue in (jobs_queue(kind), jobs_queue(kind) + ".dead")]


def eventually(condition: Callable[[], Any], wait_s: float = WAIT_S) -> Any:
    """Return what a condition gives once that is true."""
    deadline = time.monotonic() + wait_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)
    return value


def sleeping(job_id: str, seconds: float, **values: Any) -> JobSpec:
    """Return a job that every worker can run, light or real."""
    arguments = {"seconds": seconds}
    return JobSpec(id=job_id, function=SLEEP_FUNCTION, arguments=arguments, **values)


@dataclass
class Fleet:
    """Workers that share a broker and a folder of blobs; `mark` names all of their processes."""

    rabbit: Rabbit
    folder: Path
    light: LightWorkers
    mark: str
    real: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)

    @property
    def blobs(self) -> FileBlobs:
        """Return what all of them share."""
        return FileBlobs(self.folder / "blobs")

    @contextmanager
    def engine(self, **options: Any) -> Iterator[CeleryEngine]:
        """Give an engine as an evolver would make it."""
        engine = CeleryEngine(
            broker_url=self.rabbit.url, blobs=self.blobs, clock=SystemClock(), **options
        )
        try:
            yield engine
        finally:
            engine.close()

    def start(
        self,
        slots: int = 1,
        *,
        by: LightWorkers | None = None,
        broker_url: str | None = None,
        seconds: Sequence[float] = (0.02, 0.05),
        **settings: object,
    ) -> int:
        """Return the process of a new light worker; `settings` as `trainer.worker` has them."""
        process = (by or self.light).start(
            LightWorker(
                environ=self._environ(slots, broker_url, settings),
                seconds=list(seconds),
                leaves=True,
                ledger=self.folder / "ledger",
                output=self.folder / "workers.log",
            )
        )
        self.workers.append(process)
        return process

    def start_real(self, slots: int = 1, **settings: object) -> "subprocess.Popen[bytes]":
        """Return a new worker as a user starts it, with children that really work."""
        with (self.folder / "workers.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "trainer.worker"],
                env={**os.environ, _MARK: self.mark, **self._environ(slots, None, settings)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.real.append(process)
        return process

    def _environ(
        self, slots: int, broker_url: str | None, settings: dict[str, object]
    ) -> dict[str, str]:
        number = len(self.workers) + len(self.real)
        common = {
            "broker_url": broker_url or self.rabbit.url,
            "blobs_url": self.folder / "blobs",
            "data": self.folder / f"data-{number}",
            "slots": slots,
            "kind": "cpu",
            "heartbeat_s": HEARTBEAT_S,
        }
        both = {**common, **settings}
        return {f"DICEBOX_{name.upper()}": str(value) for name, value in both.items()}

    def begun(self, job: str) -> list[float]:
        """Return when light workers began a job, oldest first, in unix seconds."""
        return [float(line["time"]) for line in self._ledger("start") if line["job"] == job]  # type: ignore[arg-type]

    def runs_on(self, job: str) -> int:
        """Return the process that was the last to begin a job."""
        lines = [line for line in self._ledger("start") if line["job"] == job]
        return int(lines[-1]["process"])  # type: ignore[call-overload]

    def starts(self) -> Counter[str]:
        """Return how often light workers began each job."""
        return Counter(str(line["job"]) for line in self._ledger("start"))

    def _ledger(self, what: str) -> list[dict[str, object]]:
        return [line for line in read_ledger(self.folder / "ledger") if line["what"] == what]

    def messages(self, queue: str) -> int:
        """Return how many messages a queue has ready; none where there is no such queue."""
        with _channel(self.rabbit.url) as channel:
            try:
                declared = channel.queue_declare(queue, passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return 0
            return int(declared.method.message_count)

    def dead_letters(self) -> list[str]:
        """Take the dead letters and return what each of them is and why it is there."""
        letters = []
        with _channel(self.rabbit.url) as channel:
            while True:
                method, properties, body = channel.basic_get(jobs_queue("cpu") + ".dead", True)
                if method is None:
                    return letters
                letters.append(f"{properties.headers}: {body[:300]!r}")

    def log(self) -> str:
        """Return what the workers said."""
        file = self.folder / "workers.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def publish(self, body: bytes, **properties: Any) -> None:
        """Put a message into the queue of jobs as nobody here would."""
        with _channel(self.rabbit.url) as channel:
            made = pika.BasicProperties(delivery_mode=2, **properties)
            channel.basic_publish("", jobs_queue("cpu"), body, made)

    def purge(self) -> None:
        """Forget all jobs and dead letters."""
        for queue in _QUEUES:
            with suppress(pika.exceptions.AMQPError), _channel(self.rabbit.url) as channel:
                channel.queue_purge(queue)

    def check_all_is_well(
        self, futures: dict[str, "Future[JobResult]"], *, dead: int = 0, outcome: str | None = "ok"
    ) -> str:
        """Check what must hold after every fault, and return the counts.

        Every id has one result, the one that its future gave; no message is left and the dead
        letters are as expected; no process is left that belongs to no worker.
        """
        results = {job: future.result(WAIT_S) for job, future in futures.items()}
        stored = {job: stored_result(self.blobs, job) for job in futures}
        assert stored == results
        kept = set(self.blobs.names("results/"))
        assert kept == {f"results/{job}.json" for job in futures}
        if outcome is not None:
            assert {result.outcome for result in results.values()} == {outcome}
        eventually(lambda: self.messages(jobs_queue("cpu")) == 0)
        assert self.messages(jobs_queue("cpu") + ".dead") == dead, self.dead_letters()
        eventually(lambda: not self.orphans())
        begun = self.starts()
        again = sum(count - 1 for count in begun.values())
        outcomes = Counter(result.outcome for result in results.values())
        return (
            f"{len(futures)} jobs, {dict(outcomes)}, {sum(begun.values())} light starts, "
            f"{again} of them again, {dead} dead letters, no orphan"
        )

    def orphans(self) -> list[int]:
        """Return the processes of this fleet whose worker has ended."""
        known = {self.light.root, *self.light.started}
        known |= {process.pid for process in self.real if process.poll() is None}
        for process in [*known]:
            with suppress(psutil.NoSuchProcess):
                known |= {child.pid for child in psutil.Process(process).children(recursive=True)}
        return [process for process in self._marked() if process not in known]

    def _marked(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if f"{_MARK}={self.mark}".encode() in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return [process for process in found if is_alive(process)]

    def stop(self) -> None:
        """Kill all workers of this fleet."""
        for process in self.workers:
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        for real in self.real:
            kill_group(real)
        eventually(lambda: not any(is_alive(process) for process in self.workers))
        self.workers.clear()


@contextmanager
def started_light_workers(before: Sequence[str] = ()) -> Iterator[tuple[LightWorkers, str]]:
    """Give what starts light workers, and the mark of all its processes."""
    mark = uuid.uuid4().hex
    with LightWorkers({_MARK: mark}, before) as workers:
        yield workers, mark


@contextmanager
def _channel(url: str) -> Iterator[Any]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        with suppress(pika.exceptions.AMQPError):
            connection.close()
