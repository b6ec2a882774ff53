"""The embedded engine: worker processes of this machine, through pebble.

Every slot has a pool of one process of its own, so that what happens to a worker (killed,
crashed, out of memory, past its time) touches one job, and a slot knows what it runs.
`commons.adapters.job_process` is the side that runs inside the worker.
"""

import logging
import multiprocessing
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from commons.adapters import job_process
from commons.adapters.blobs import open_blobs
from commons.adapters.cards import card_environments
from commons.adapters.clock import SystemClock
from commons.adapters.job_memory import oom_kills, own_bytes
from commons.adapters.job_process import WorkerPlace
from commons.adapters.scratch_folder import ScratchFolder
from commons.errors import DiceboxError, UnavailableError
from commons.jobs import JobEvent, JobResult, JobSpec, Outcome, WorkerInfo, stored_result
from commons.ports import Clock

_KEPT_EVENTS = 10_000
_WATCH_S = 0.25
# A job that ended so may have left its process in a state that fails the next.
_FAILURES = ("error", "out-of-memory")
_LOG = logging.getLogger(__name__)


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
            _Slot(
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
                _Lifetime(worker_jobs, worker_memory_bytes, recycle_after_failure),
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

    def _serve(self, slot: "_Slot") -> None:
        # Ctrl-C on a terminal goes to the workers too, but their end is for the engine to say.
        # What this thread blocks is blocked in the threads and processes that pebble starts.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while (job := self._waiting.get()) is not None:
            result = (
                _failed(job.spec, "cancelled", "before it started", 0.0, slot.place.name)
                if job.killed
                else slot.run(job.spec, lambda job=job: job.killed)  # type: ignore[misc]
            )
            with self._lock:
                # Only running jobs are remembered: a finished one has its result in the blobs.
                self._jobs.pop(job.spec.id, None)
            job.future.set_result(result)


@dataclass(frozen=True)
class _Lifetime:
    """After how many jobs, above which resident size, and after which ends a worker is replaced."""

    jobs: int | None
    memory_bytes: int | None
    after_failure: bool

    def is_over(self, jobs: int, resident_bytes: int, outcome: Outcome) -> bool:
        too_old = self.jobs is not None and jobs >= self.jobs
        too_large = self.memory_bytes is not None and resident_bytes > self.memory_bytes
        return too_old or too_large or (self.after_failure and outcome in _FAILURES)


class _Slot:
    """One worker process at a time, and the thread of the engine that feeds it."""

    def __init__(self, place: WorkerPlace, lifetime: _Lifetime, clock: Clock) -> None:
        self.place = place
        self.recycled = 0
        self._lifetime = lifetime
        self._jobs_of_process = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        self._running: tuple[str, float, ProcessFuture[str]] | None = None
        self._done = 0
        self._closed = False
        self._read = 0
        self._too_large: str | None = None

    def run(self, spec: JobSpec, killed: Callable[[], bool]) -> JobResult:
        """Run one job to its end, whatever the end is."""
        started = self._clock.monotonic()
        for _ in range(2):
            try:
                return self._run_once(spec, killed)
            except (BrokenProcessPool, RuntimeError) as error:
                # pebble gives a pool up when an idle worker was killed: the job never started.
                _LOG.warning("%s: worker lost while idle: %s", self.place.name, error)
                self._end_pool()
        seconds = self._clock.monotonic() - started
        return _failed(spec, "lost", "no worker could be started", seconds, self.place.name)

    def _run_once(self, spec: JobSpec, killed: Callable[[], bool]) -> JobResult:
        started = self._clock.monotonic()
        with self._lock:
            if self._closed or killed():
                return _failed(spec, "cancelled", "before it started", 0.0, self.place.name)
            future = self._open_pool().schedule(
                job_process.run_job, (spec.model_dump_json(),), timeout=spec.timeout_s
            )
            self._running = (spec.id, self._clock.now(), future)
            self._too_large = None
        kills = oom_kills()
        outcome: Outcome
        try:
            reply = job_process.JobReply.model_validate_json(future.result())
        except CancelledError:
            outcome, reason = "cancelled", "stopped on request"
            if self._too_large is not None:
                outcome, reason = "out-of-memory", self._too_large
        except TimeoutError:
            outcome, reason = "timed-out", f"took longer than {spec.timeout_s:g} s"
        except ProcessExpired as error:
            outcome, reason = _end_of_process(error.exitcode)
            if error.exitcode == -signal.SIGKILL and oom_kills() > kills:
                outcome, reason = "out-of-memory", "the system had no memory left for it"
        else:
            self._recycle_if_worn(reply.resident_bytes, reply.result.outcome)
            return reply.result
        finally:
            with self._lock:
                self._running = None
                self._done += 1
        # It may have ended between the storing of its result and the telling.
        known = self._stored(spec)
        seconds = self._clock.monotonic() - started
        return known or _failed(spec, outcome, reason, seconds, self.place.name)

    def _stored(self, spec: JobSpec) -> JobResult | None:
        """Return the result that the worker stored before it ended, if it came to that."""
        try:
            return stored_result(open_blobs(self.place.blobs_url), spec.id)
        except DiceboxError as error:
            _LOG.warning("%s: nobody knows if %s has a result: %s", self.place.name, spec.id, error)
            return None

    def stop_job(self, job_id: str) -> None:
        """Kill the worker if it runs that job."""
        with self._lock:
            if self._running is not None and self._running[0] == job_id:
                self._running[2].cancel()

    def hold_to(self, limit_bytes: int) -> None:
        """Kill the worker if it runs a job and has more memory than that for itself."""
        with self._lock:
            running = self._running
        if running is None:
            return
        try:
            process = int(Path(self.place.process).read_text(encoding="ascii"))
        except (OSError, ValueError):  # it starts just now
            return
        taken = own_bytes(process)
        with self._lock:
            if taken > limit_bytes and self._running is running:
                self._too_large = (
                    f"its process had taken {taken // 2**20} MB, of {limit_bytes // 2**20} MB"
                )
                running[2].cancel()

    def info(self) -> WorkerInfo | None:
        """Return what the worker does, or nothing before it was started."""
        with self._lock:
            if self._pool is None:
                return None
            job, since = self._running[:2] if self._running else (None, None)
            return WorkerInfo(name=self.place.name, job=job, since=since, jobs_done=self._done)

    def new_reports(self) -> list[dict[str, object]]:
        """Return what the worker reported since the last call."""
        reports, self._read = job_process.read_reports(Path(self.place.progress), self._read)
        return reports

    def close(self) -> None:
        """End the worker for good."""
        with self._lock:
            self._closed = True
            running = self._running
        if running is not None:
            running[2].cancel()
        self._end_pool()

    def _open_pool(self) -> ProcessPool:
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1,
                initializer=job_process.start_worker,
                initargs=(self.place,),
                # TensorFlow hangs in a process that was forked from one that has used it.
                context=multiprocessing.get_context("spawn"),
            )
        return self._pool

    def _end_pool(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
            self._jobs_of_process = 0
        if pool is not None:
            pool.stop()
            pool.join()

    def _recycle_if_worn(self, resident_bytes: int, outcome: Outcome) -> None:
        self._jobs_of_process += 1
        if self._lifetime.is_over(self._jobs_of_process, resident_bytes, outcome):
            _LOG.info(
                "%s: replaced after %d jobs at %d MB",
                self.place.name,
                self._jobs_of_process,
                resident_bytes // 2**20,
            )
            self.recycled += 1
            self._end_pool()


def _failed(spec: JobSpec, outcome: Outcome, reason: str, seconds: float, worker: str) -> JobResult:
    return JobResult(id=spec.id, outcome=outcome, reason=reason, seconds=seconds, worker=worker)


def _end_of_process(exit_code: int) -> tuple[Outcome, str]:
    if exit_code < 0:
        return "killed", f"its process was ended by {signal.Signals(-exit_code).name}"
    return "error", f"its process ended with code {exit_code}"
