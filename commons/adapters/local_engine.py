"""The embedded engine: worker processes of this machine, through pebble.

Every slot has a pool of one process of its own, so that what happens to a worker (killed,
crashed, out of memory, past its time) touches one job, and a slot knows what it runs.
`commons.adapters.job_process` is the side that runs inside the worker.
"""

import queue
import signal
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path

from commons.adapters.cards import card_environments
from commons.adapters.clock import SystemClock
from commons.adapters.engine_slot import Lifetime, Slot, failed
from commons.adapters.job_process import WorkerPlace
from commons.adapters.scratch_folder import ScratchFolder
from commons.errors import UnavailableError
from commons.jobs import JobEvent, JobResult, JobSpec, WorkerInfo
from commons.ports import Clock

_KEPT_EVENTS = 10_000
_WATCH_S = 0.25


@dataclass
class _Job:
    spec: JobSpec
    future: "Future[JobResult]" = field(default_factory=Future)
    killed: bool = False


class LocalEngine:
    """`commons.ports.Engine` on this machine. Worker processes start with the first job.

    Args:
        workers: How many jobs run at once.
        blobs_url: Where jobs find the blobs: a folder.
        folder: For logs, progress and the cache that the workers of all engines here share;
            safe to lose.
        threads: How many threads the numeric libraries of one worker may use.
        cards: The accelerators that the workers share, as `CUDA_VISIBLE_DEVICES` names them.
        worker_memory_bytes: A worker above this resident size is replaced after its job.
        worker_jobs: A worker is replaced after so many jobs, however small it is.
        memory_limit_bytes: A job whose worker has more than this for itself is ended, with the
            outcome `out-of-memory`; only on Linux.
        recycle_after_failure: A worker is also replaced after a job that ended with `error` or
            `out-of-memory`.
        check_cards: A worker that does not find its card takes no job: a fault of the platform.
        name: Of this engine among others: that of its workers begins with it.
    """

    def __init__(
        self,
        *,
        workers: int,
        blobs_url: str,
        folder: Path,
        threads: int = 1,
        cards: Sequence[str] = (),
        worker_memory_bytes: int | None = None,
        worker_jobs: int | None = None,
        memory_limit_bytes: int | None = None,
        recycle_after_failure: bool = False,
        check_cards: bool = False,
        name: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"expected at least 1 worker, got {workers}")
        self._clock = clock or SystemClock()
        self._waiting: queue.Queue[_Job | None] = queue.Queue()
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._events: deque[JobEvent] = deque(maxlen=_KEPT_EVENTS)
        self._sequence = 0
        self._closed = False
        self._folder = folder
        self._scratch = ScratchFolder(folder / "engines")
        self._slots = [
            Slot(
                WorkerPlace(
                    name=f"{name}/{number}" if name else f"worker-{number}",
                    blobs_url=blobs_url,
                    cache=str(folder / "cache"),
                    progress=str(self._scratch.path / f"worker-{number}.jsonl"),
                    process=str(self._scratch.path / f"worker-{number}.process"),
                    temporary=str(self._scratch.path),
                    log=str(folder / "logs" / f"worker-{number}.log"),
                    threads=threads,
                    environment=environment,
                    check_card=check_cards,
                ),
                Lifetime(worker_jobs, worker_memory_bytes, recycle_after_failure),
                self._clock,
            )
            for number, environment in enumerate(card_environments(workers, cards), 1)
        ]
        self._threads: list[threading.Thread] = []
        self._memory_limit_bytes = memory_limit_bytes
        self._ended = threading.Event()

    def submit(self, spec: JobSpec) -> "Future[JobResult]":
        """Return the future result of a job; the same id twice is the same future."""
        with self._lock:
            if self._closed:
                raise UnavailableError("the engine is closed")
            if spec.id in self._jobs:
                return self._jobs[spec.id].future
            job = self._jobs[spec.id] = _Job(spec)
            self._start_threads()
        self._waiting.put(job)
        return job.future

    def kill(self, job_id: str) -> bool:
        """Stop a waiting or running job; say whether there was one."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.future.done():
                return False
            job.killed = True
        for slot in self._slots:
            slot.stop_job(job_id)
        return True

    def capacity(self) -> int:
        """Return how many jobs can run at once."""
        return len(self._slots)

    def workers(self) -> list[WorkerInfo]:
        """Return the workers with what each of them does."""
        return [info for slot in self._slots if (info := slot.info()) is not None]

    def events(self, after: int) -> list[JobEvent]:
        """Return the progress events with a sequence above `after`, of the last 10,000."""
        with self._lock:
            for slot in self._slots:
                for report in slot.new_reports():
                    self._sequence += 1
                    self._events.append(JobEvent(sequence=self._sequence, **report))
            return [event for event in self._events if event.sequence > after]

    def card_of(self, job_id: str) -> str | None:
        """Return the card on which a job runs, as `CUDA_VISIBLE_DEVICES` names it."""
        for slot in self._slots:
            info = slot.info()
            if info is not None and info.job == job_id:
                return slot.place.environment.get("CUDA_VISIBLE_DEVICES")
        return None

    @property
    def recycled(self) -> int:
        """Return how many workers were replaced because they had grown too large or old."""
        return sum(slot.recycled for slot in self._slots)

    def close(self) -> None:
        """Kill what runs, cancel what waits, and end all workers; safe to call twice."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                job.killed = True
        for slot in self._slots:
            slot.close()
        self._ended.set()
        for _ in self._slots:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._scratch.remove()

    def _start_threads(self) -> None:
        if self._threads:
            return
        for folder in ("cache", "logs"):
            (self._folder / folder).mkdir(parents=True, exist_ok=True)
        self._scratch.make()
        # Where it starts with the first worker it unblocks what `_serve` blocks.
        resource_tracker.ensure_running()
        for slot in self._slots:
            thread = threading.Thread(
                target=self._serve, args=(slot,), name=slot.place.name, daemon=True
            )
            thread.start()
            self._threads.append(thread)
        if self._memory_limit_bytes is not None:
            watch = threading.Thread(
                target=self._watch_memory, args=(self._memory_limit_bytes,), daemon=True
            )
            watch.start()
            self._threads.append(watch)

    def _watch_memory(self, limit_bytes: int) -> None:
        while not self._ended.wait(_WATCH_S):
            for slot in self._slots:
                slot.hold_to(limit_bytes)

    def _serve(self, slot: Slot) -> None:
        # Ctrl-C on a terminal goes to the workers too, but their end is for the engine to say.
        # What this thread blocks is blocked in the threads and processes that pebble starts.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while (job := self._waiting.get()) is not None:
            result = (
                failed(job.spec, "cancelled", "before it started", 0.0, slot.place.name)
                if job.killed
                else slot.run(job.spec, lambda job=job: job.killed)  # type: ignore[misc]
            )
            with self._lock:
                # Only running jobs are remembered: a finished one has its result in the blobs.
                self._jobs.pop(job.spec.id, None)
            job.future.set_result(result)
