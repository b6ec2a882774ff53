"""What an engine knows of the workers elsewhere, from what they say."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from commons.fleet import SlotState, Started, WorkerBeat
from commons.jobs import Device, WorkerInfo
from commons.ports import Clock

# A worker that has been silent for so many of its beats is gone.
_MISSED_BEATS = 3


@dataclass
class _Worker:
    """The newest beat, when it came by our clock, and what slots have begun since it was said."""

    beat: WorkerBeat
    heard: float
    begun: dict[int, Started] = field(default_factory=dict)
    ended: Counter[int] = field(default_factory=Counter)


class FleetBoard:
    """The live workers and what their slots do; used by several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._workers: dict[str, _Worker] = {}

    def hear_beat(self, beat: WorkerBeat) -> None:
        """Take in how a worker is; a beat older than the last one says nothing."""
        now = self._clock.monotonic()
        with self._lock:
            known = self._workers.setdefault(beat.name, _Worker(beat, now))
            if beat.time < known.beat.time:
                return
            before = {slot.number: slot.job for slot in _slots(known)}
            known.beat, known.heard = beat, now
            known.begun = {n: word for n, word in known.begun.items() if word.time > beat.time}
            for slot in _slots(known):
                known.ended[slot.number] += before.get(slot.number) not in (None, slot.job)

    def hear_started(self, word: Started) -> None:
        """Take in what a slot has begun, before the worker's next beat says so."""
        with self._lock:
            worker = self._workers.get(word.worker)
            if worker is not None and word.time > worker.beat.time:
                worker.begun[word.slot] = word

    def capacity(self, kind: Device | None = None) -> int:
        """Return how many slots the workers have that take jobs, of a kind or of all."""
        return sum(
            len(worker.beat.slots)
            for worker in self._live()
            if not worker.beat.leaving and kind in (None, worker.beat.kind)
        )

    def running(self) -> set[str]:
        """Return the jobs that are in the slots of live workers."""
        return {slot.job for worker in self._live() for slot in _slots(worker) if slot.job}

    def others_run(self, name: str) -> bool:
        """Say whether any worker but the one of a name has a job."""
        return any(
            slot.job
            for worker in self._live()
            if worker.beat.name != name
            for slot in _slots(worker)
        )

    def free(self, kind: Device) -> int:
        """Return how many slots of a kind have nothing to do."""
        return sum(
            slot.job is None
            for worker in self._live()
            if worker.beat.kind == kind and not worker.beat.leaving
            for slot in _slots(worker)
        )

    def slots(self) -> list[WorkerInfo]:
        """Return one entry for each slot, named `worker/slot`."""
        return [
            WorkerInfo(
                name=f"{worker.beat.name}/{slot.number}",
                job=slot.job,
                since=slot.since,
                jobs_done=worker.ended[slot.number],
            )
            for worker in self._live()
            for slot in _slots(worker)
        ]

    def _live(self) -> list[_Worker]:
        now = self._clock.monotonic()
        with self._lock:
            self._workers = {
                name: worker
                for name, worker in self._workers.items()
                if now - worker.heard <= _MISSED_BEATS * worker.beat.every_s
            }
            return [*self._workers.values()]


def _slots(worker: _Worker) -> list[SlotState]:
    return [
        slot.model_copy(update={"job": word.job, "since": word.time})
        if (word := worker.begun.get(slot.number))
        else slot
        for slot in worker.beat.slots
    ]
