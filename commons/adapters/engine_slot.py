"""One slot of the embedded engine: a worker process at a time, and what becomes of its jobs."""

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from commons.adapters import job_process
from commons.adapters.blobs import open_blobs
from commons.adapters.job_memory import oom_kills, own_bytes
from commons.adapters.job_process import WorkerPlace
from commons.errors import DiceboxError
from commons.jobs import JobResult, JobSpec, Outcome, WorkerInfo, stored_result
from commons.ports import Clock

# A job that ended so may have left its process in a state that fails the next.
_FAILURES = ("error", "out-of-memory")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lifetime:
    """After how many jobs, above which resident size, and after which ends a worker is replaced."""

    jobs: int | None
    memory_bytes: int | None
    after_failure: bool

    def is_over(self, jobs: int, resident_bytes: int, outcome: Outcome) -> bool:
        """Say whether a worker is replaced after a job that ended so."""
        too_old = self.jobs is not None and jobs >= self.jobs
        too_large = self.memory_bytes is not None and resident_bytes > self.memory_bytes
        return too_old or too_large or (self.after_failure and outcome in _FAILURES)


class Slot:
    """One worker process at a time, and the thread of the engine that feeds it."""

    def __init__(self, place: WorkerPlace, lifetime: Lifetime, clock: Clock) -> None:
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
        lost = failed(spec, "lost", "no worker could be started", seconds, self.place.name)
        return lost.model_copy(update={"platform": True})

    def _run_once(self, spec: JobSpec, killed: Callable[[], bool]) -> JobResult:
        started = self._clock.monotonic()
        with self._lock:
            if self._closed or killed():
                return failed(spec, "cancelled", "before it started", 0.0, self.place.name)
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
        return known or failed(spec, outcome, reason, seconds, self.place.name)

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


def failed(spec: JobSpec, outcome: Outcome, reason: str, seconds: float, worker: str) -> JobResult:
    """Return the result of a job that has no value."""
    return JobResult(id=spec.id, outcome=outcome, reason=reason, seconds=seconds, worker=worker)


def _end_of_process(exit_code: int) -> tuple[Outcome, str]:
    if exit_code < 0:
        return "killed", f"its process was ended by {signal.Signals(-exit_code).name}"
    return "error", f"its process ended with code {exit_code}"
