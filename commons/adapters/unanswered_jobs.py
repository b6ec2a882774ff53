"""The jobs that an engine waits for, and how each of them gets its one result."""

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from commons.errors import DiceboxError, UnavailableError
from commons.jobs import Device, JobResult, JobSpec, Outcome, result_blob, stored_result
from commons.ports import Blobs

_LOG = logging.getLogger(__name__)


@dataclass
class UnansweredJob:
    """A job without a result.

    `kind`: the queue it is in. `seen`: when a worker last named it, or when it was published.
    """

    spec: JobSpec
    kind: Device
    future: "Future[JobResult]" = field(default_factory=Future)
    published: int = 0
    seen: float = 0.0
    killed: float | None = None

    @property
    def is_wanted(self) -> bool:
        """Say whether it should run."""
        return self.killed is None and not self.future.done()


class UnansweredJobs:
    """A table that several threads share. What leaves it has its result, and every future one."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._jobs: dict[str, UnansweredJob] = {}
        self._closed = False

    def enter(self, spec: JobSpec) -> tuple[UnansweredJob, bool]:
        """Return the entry of a job, and whether it is new and has no result yet.

        Raises:
            UnavailableError: The table is closed, or the blobs cannot be reached.
        """
        known = None if self.get(spec.id) else stored_result(self._blobs, spec.id)
        job = UnansweredJob(spec, spec.device or "cpu")
        if known is not None:
            job.future.set_result(known)
            return job, False
        with self._lock:
            if self._closed:
                raise UnavailableError("the engine is closed")
            entry = self._jobs.setdefault(spec.id, job)
        return entry, entry is job

    def get(self, job_id: str) -> UnansweredJob | None:
        """Return the entry of a job that is waited for."""
        with self._lock:
            return self._jobs.get(job_id)

    def all(self) -> list[UnansweredJob]:
        """Return all that are waited for, the oldest first."""
        with self._lock:
            return [*self._jobs.values()]

    def close(self) -> list[UnansweredJob]:
        """Take no more, and return what is left: its futures are the caller's."""
        with self._lock:
            self._closed = True
            left, self._jobs = [*self._jobs.values()], {}
        return left

    def finish(self, job: UnansweredJob, result: JobResult) -> None:
        """Give a job the result that is stored, unless it has one."""
        with self._lock:
            if self._jobs.get(job.spec.id) is not job:
                return
            del self._jobs[job.spec.id]
        job.future.set_result(result)

    def find(self, job: UnansweredJob) -> None:
        """Give a job the result that some worker has stored, if there is one."""
        known = stored_result(self._blobs, job.spec.id)
        if known is not None:
            self.finish(job, known)

    def give_up(self, job: UnansweredJob, outcome: Outcome, reason: str) -> None:
        """Store that a job ended without a worker, unless one has stored its result before."""
        result = ended(job, outcome, reason)
        try:
            if not self._blobs.put(result_blob(result.id), result.model_dump_json().encode()):
                result = stored_result(self._blobs, result.id) or result
        except DiceboxError as error:
            _LOG.warning("the end of %s is not stored: %s", result.id, error)
        self.finish(job, result)


def ended(job: UnansweredJob, outcome: Outcome, reason: str) -> JobResult:
    """Return the result of a job that no worker ended."""
    return JobResult(id=job.spec.id, outcome=outcome, reason=reason)
