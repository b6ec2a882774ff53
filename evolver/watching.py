"""What happens in a run, told to whoever watches it: for a while, and to so many at once."""

import threading
from collections.abc import Iterator
from typing import NamedTuple

from commons.messages import Message, Run, TrainingEnd
from commons.ports import Clock
from evolver.runs import ENDED, Runs

_POLL_S = 0.5
_BEAT_S = 5.0


class Happening(NamedTuple):
    """One event: `kind` is `run` (how far it is) or `training` (one that ended), None a beat.

    `place` is what a watcher that comes back gives, to be told what came since: unix seconds of
    the latest training that it was told about.
    """

    kind: str | None
    message: Message | None
    place: float


class Watching:
    """A bounded number of slots for those who watch; each holds a thread of the server.

    Args:
        runs: What is watched.
        clock: Time.
        slots: How many may watch at once.
        longest_s: After how long a watcher is let go; it may come back.
    """

    def __init__(self, runs: Runs, clock: Clock, slots: int, longest_s: float) -> None:
        self._runs = runs
        self._clock = clock
        self._free = threading.BoundedSemaphore(slots)
        self._longest_s = longest_s

    def enter(self) -> bool:
        """Take a slot if one is free, and say whether; `leave` gives it back."""
        return self._free.acquire(blocking=False)

    def leave(self) -> None:
        """Give a slot back."""
        self._free.release()

    def watch(self, run: str, place: float) -> Iterator[Happening]:
        """Yield what happens in a run after a place, until the run or the time ends.

        What happened before comes first. A beat comes now and then, so that a watcher who left
        is noticed.

        Raises:
            NotFoundError: There is no such run.
        """
        deadline = self._clock.monotonic() + self._longest_s
        told: Run | None = None
        beat = self._clock.monotonic()
        while True:
            found = self._runs.get(run)
            if found != told:
                if told is None or _ends(found) != _ends(told):
                    for end in self._ends_after(run, place):
                        place = end.evaluation.ended or place
                        yield Happening("training", end, place)
                told, beat = found, self._clock.monotonic()
                yield Happening("run", found, place)
            if found.state in ENDED or self._clock.monotonic() >= deadline:
                return
            if self._clock.monotonic() - beat >= _BEAT_S:
                beat = self._clock.monotonic()
                yield Happening(None, None, place)
            self._clock.sleep(_POLL_S)

    def _ends_after(self, run: str, place: float) -> list[TrainingEnd]:
        found = [
            TrainingEnd(number=individual.number, evaluation=known)
            for individual in self._runs.individuals(run)
            for known in individual.evaluations
            if known.ended is not None and known.ended > place
        ]
        return sorted(found, key=lambda end: end.evaluation.ended or 0.0)


def _ends(run: Run) -> tuple[int | str, ...]:
    """Return what changes whenever a training ends."""
    progress = run.progress
    rungs = (rung.ended for rung in progress.rungs)
    # The end of a run cancels trainings, which nothing else counts.
    return (progress.births, progress.evaluated, progress.failed, *rungs, run.state)
