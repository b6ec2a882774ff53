"""An engine that trains nothing: a job takes its seconds, and its result is made up.

It stands where `commons.adapters.local_engine` stands in a real worker, so that one process can
be many slots, and so that what happens around a training can be watched for itself.
"""

import heapq
import json
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from commons.adapters.clock import SystemClock
from commons.errors import UnavailableError
from commons.jobs import (
    JobEvent,
    JobResult,
    JobSpec,
    Outcome,
    WorkerInfo,
    result_blob,
    stored_result,
)
from commons.ports import Blobs, Clock

_KEPT_EVENTS = 10_000
_LEFT = b"made up"


@dataclass(frozen=True)
class Pretence:
    """What a job seems to do: how long it takes, what it gives, the blobs that it leaves."""

    seconds: float
    value: dict[str, Any]
    leaves: tuple[str, ...] = ()


@dataclass
class _Job:
    spec: JobSpec
    number: int
    future: "Future[JobResult]" = field(default_factory=Future)
    slot: int | None = None
    pretence: Pretence | str = "it did not start"  # the fault of one that cannot be
    started: float = 0.0
    since: float = 0.0


class SleepEngine:
    """`commons.ports.Engine` with any number of slots on one thread.

    Args:
        slots: How many jobs run at once.
        blobs: Where results go, as a real worker leaves them.
        pretend: What a job seems to do; what it raises is the job's error.
        name: Begins the names of the slots.
        ledger: A file that every start and end of a job is added to, as a JSON line.
    """

    def __init__(
        self,
        *,
        slots: int,
        blobs: Blobs,
        pretend: Callable[[JobSpec], Pretence],
        name: str = "sleeper",
        ledger: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._blobs = blobs
        self._pretend = pretend
        self._name = name
        self._ledger = ledger
        self._clock = clock or SystemClock()
        self._numbers = count(1)
        self._free = list(range(1, slots + 1))
        self._slots = slots
        self._jobs: dict[str, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._ends: list[tuple[float, int, _Job]] = []
        self._events: deque[JobEvent] = deque(maxlen=_KEPT_EVENTS)
        self._sequence = 0
        self._done = [0] * (slots + 1)
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, spec: JobSpec) -> "Future[JobResult]":
        """Return the future result of a job; the same id twice is the same future."""
        with self._changed:
            if self._closed:
                raise UnavailableError("the engine is closed")
            if spec.id in self._jobs:
                return self._jobs[spec.id].future
            job = self._jobs[spec.id] = _Job(spec, next(self._numbers))
            self._waiting.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return job.future

    def kill(self, job_id: str) -> bool:
        """End a waiting or running job as `cancelled`; say whether there was one."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None:
                return False
            self._forget(job)
            self._changed.notify()
        known = stored_result(self._blobs, job_id)
        job.future.set_result(known or self._failed(job, "cancelled", "stopped on request"))
        return True

    def capacity(self) -> int:
        """Return how many jobs can run at once."""
        return self._slots

    def workers(self) -> list[WorkerInfo]:
        """Return the slots with what each of them does."""
        with self._changed:
            running = {job.slot: job for job in self._jobs.values() if job.slot is not None}
            return [
                WorkerInfo(
                    name=self._slot_name(slot),
                    job=running[slot].spec.id if slot in running else None,
                    since=running[slot].since if slot in running else None,
                    jobs_done=self._done[slot],
                )
                for slot in range(1, self._slots + 1)
            ]

    def events(self, after: int) -> list[JobEvent]:
        """Return the reports with a sequence above `after`: each job says once where it runs."""
        with self._changed:
            return [event for event in self._events if event.sequence > after]

    def close(self) -> None:
        """Cancel everything and end; safe to call twice."""
        with self._changed:
            self._closed = True
            left = list(self._jobs.values())
            for job in left:
                self._forget(job)
            self._changed.notify()
        for job in left:
            job.future.set_result(self._failed(job, "cancelled", "stopped on request"))
        if self._thread is not None:
            self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while self._free and self._waiting:
                    self._start(self._waiting.popleft())
                if self._closed:
                    return
                wait = self._ends[0][0] - self._clock.monotonic() if self._ends else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
                job = heapq.heappop(self._ends)[2]
                if self._jobs.get(job.spec.id) is not job:
                    continue  # it was killed
                # From here on nobody can kill it.
                del self._jobs[job.spec.id]
            result = self._ended(job)
            with self._changed:
                self._leave_slot(job)
            job.future.set_result(result)

    def _start(self, job: _Job) -> None:
        job.slot = self._free.pop()
        job.started, job.since = self._clock.monotonic(), self._clock.now()
        seconds = 0.0
        try:
            job.pretence = self._pretend(job.spec)
            seconds = job.pretence.seconds
        except Exception as error:  # as in a worker: whatever it raises is the job's fault
            job.pretence = f"{type(error).__name__}: {error}"
        if job.spec.timeout_s is not None:
            seconds = min(seconds, job.spec.timeout_s)
        heapq.heappush(self._ends, (job.started + seconds, job.number, job))
        self._sequence += 1
        self._events.append(
            JobEvent(
                sequence=self._sequence,
                job=job.spec.id,
                worker=self._slot_name(job.slot),
                time=job.since,
                data={"process": os.getpid()},
            )
        )
        self._write("start", job, job.since)

    def _ended(self, job: _Job) -> JobResult:
        """Return the result of a job whose seconds are over, stored as a real worker does."""
        if isinstance(job.pretence, str):
            result = self._failed(job, "error", job.pretence)
        elif job.spec.timeout_s is not None and job.pretence.seconds > job.spec.timeout_s:
            return self._failed(job, "timed-out", f"took longer than {job.spec.timeout_s:g} s")
        else:
            for name in job.pretence.leaves:
                self._blobs.put(name, _LEFT)
            result = JobResult(
                id=job.spec.id,
                outcome="ok",
                value=job.pretence.value,
                seconds=self._clock.monotonic() - job.started,
                worker=self._slot_name(job.slot),
            )
        self._write("end", job, self._clock.now())
        if not self._blobs.put(result_blob(job.spec.id), result.model_dump_json().encode()):
            return stored_result(self._blobs, job.spec.id) or result
        return result

    def _failed(self, job: _Job, outcome: Outcome, reason: str) -> JobResult:
        seconds = self._clock.monotonic() - job.started if job.slot is not None else 0.0
        worker = self._slot_name(job.slot) if job.slot is not None else self._name
        return JobResult(
            id=job.spec.id, outcome=outcome, reason=reason, seconds=seconds, worker=worker
        )

    def _forget(self, job: _Job) -> None:
        del self._jobs[job.spec.id]
        if job in self._waiting:
            self._waiting.remove(job)
        else:
            self._leave_slot(job)

    def _leave_slot(self, job: _Job) -> None:
        if job.slot is not None:
            self._done[job.slot] += 1
            self._free.append(job.slot)

    def _slot_name(self, slot: int | None) -> str:
        return f"{self._name}/{slot}"

    def _write(self, what: str, job: _Job, time: float) -> None:
        if self._ledger is None:
            return
        line = {"what": what, "job": job.spec.id, "time": time, "process": os.getpid()}
        with self._ledger.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
