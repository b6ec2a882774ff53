"""The jobs that a worker has in hand, and what it has done: one table that threads share."""

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Literal

from commons.fleet import SlotState
from commons.jobs import JobResult, JobSpec
from commons.ports import Clock

# Why a training ends early: asked for; asked for, and nobody wants to know; another worker has
# it meanwhile; this worker leaves.
End = Literal["stopped", "unwanted", "fenced", "drained"]
_MINUTE_S = 60.0


@dataclass
class Training:
    """A job in hand (`since`: unix seconds). `replies`: the queues of who wants to know of it."""

    spec: JobSpec
    slot: int
    since: float
    waited_s: float
    replies: list[str]
    end: End | None = None


@dataclass(frozen=True)
class Tally:
    """What a worker has done: jobs that ended, those without a value, seconds of slots."""

    done: int = 0
    failed: int = 0
    seconds_busy: float = 0.0
    last_failure: str | None = None


@dataclass
class DeskTable:
    """What is in hand; `changed` is set at every change.

    Args:
        slots: How many jobs run at once.
    """

    slots: int
    clock: Clock
    changed: threading.Event = field(default_factory=threading.Event)
    draining: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _here: dict[str, Training] = field(default_factory=dict)
    _tally: Tally = Tally()
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def enter(self, spec: JobSpec, reply_to: str, sent: float) -> Training | None:
        """Return the entry of a new job; nothing where it is in hand already."""
        now = self.clock.now()
        with self._lock:
            if spec.id in self._here:
                return None
            taken = {training.slot for training in self._here.values()}
            slot = min({*range(1, len(taken) + 2)} - taken)
            training = Training(spec, slot, now, max(0.0, now - sent), [reply_to])
            self._here[spec.id] = training
        return training

    def join(self, job: str, reply_to: str) -> Training | None:
        """Add who wants to know of a job; return its entry, if it is in hand."""
        with self._lock:
            training = self._here.get(job)
            if training is not None and reply_to not in training.replies:
                training.replies.append(reply_to)
            return training

    def leave(self, training: Training) -> list[str]:
        """Take a job off; return who wants to know of it, the first time."""
        with self._lock:
            if self._here.get(training.spec.id) is not training:
                return []
            del self._here[training.spec.id]
        self.changed.set()
        return training.replies

    def end(self, job: str, why: End) -> bool:
        """Say why a job is to end, unless that is said already; return if it is in hand."""
        with self._lock:
            training = self._here.get(job)
            if training is None:
                return False
            if training.end is None or why == "fenced":
                training.end = why
            return True

    def of(self, job: str) -> tuple[int, list[str]] | None:
        """Return the slot of a job and who wants to know of it, if it is in hand."""
        with self._lock:
            training = self._here.get(job)
            return (training.slot, [*training.replies]) if training else None

    def jobs(self) -> frozenset[str]:
        """Return the ids of the jobs in hand."""
        with self._lock:
            return frozenset(self._here)

    def free(self) -> int:
        """Return how many slots can take a job."""
        with self._lock:
            return 0 if self.draining else max(0, self.slots - len(self._here))

    def drain(self) -> None:
        """Have no slot free from now on."""
        self.draining = True
        self.changed.set()

    def states(self) -> tuple[SlotState, ...]:
        """Return what each slot does; there are more while one gives way to the next."""
        with self._lock:
            by_slot = {training.slot: training for training in self._here.values()}
        states = []
        for number in sorted({*range(1, self.slots + 1), *by_slot}):
            training = by_slot.get(number)
            job, since = (training.spec.id, training.since) if training else (None, None)
            states.append(SlotState(number=number, job=job, since=since))
        return tuple(states)

    def count(self, result: JobResult) -> None:
        """Count a job that ended."""
        failed = result.outcome != "ok"
        reason = f"{result.id}: {result.reason or result.outcome}"
        with self._lock:
            tally = self._tally
            self._ends.append(self.clock.now())
            self._tally = Tally(
                tally.done + 1,
                tally.failed + failed,
                tally.seconds_busy + result.seconds,
                reason if failed else tally.last_failure,
            )

    def fail(self, reason: str) -> None:
        """Note what keeps this worker from its work."""
        with self._lock:
            self._tally = replace(self._tally, last_failure=reason)
        self.changed.set()

    def tally(self) -> Tally:
        """Return what was done so far."""
        with self._lock:
            return self._tally

    def ended_in_last_minute(self) -> int:
        """Return how many jobs ended here in the last 60 seconds."""
        with self._lock:
            return sum(end > self.clock.now() - _MINUTE_S for end in self._ends)
