"""Faults of the platform, as a worker counts them: no blobs, no sensory service, a broken card."""

import math
import threading
from typing import NamedTuple

_LONGEST_PAUSE_S = 60.0
_MOST_DOUBLINGS = 10
_MOST_FAULTS = 3
_REMEMBERED_JOBS = 1000


class PlatformFaults:
    """Says how long a slot rests after a fault, and when it looks like the job's own.

    Args:
        pause_s: The rest after the first fault; each further one in a row doubles it, up to a
            minute.
        patience_s: For how long a platform may be broken before its jobs' submitters are told.
    """

    def __init__(self, pause_s: float, patience_s: float) -> None:
        self._pause_s = pause_s
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._by_job: dict[str, _Faults] = {}
        self._in_a_row = 0
        self._since = math.inf
        self._ended = 0

    def rest_s(self, now: float) -> float:
        """Count a fault at a monotonic time; return for how many seconds its slot takes no job."""
        with self._lock:
            self._since = min(self._since, now)
            seconds = min(_LONGEST_PAUSE_S, self._pause_s * (1 << self._in_a_row))
            self._in_a_row = min(self._in_a_row + 1, _MOST_DOUBLINGS)
        return seconds

    def has_lasted(self, now: float) -> bool:
        """Say whether there were faults, and no job that ended, for longer than is waited for."""
        with self._lock:
            return now - self._since > self._patience_s

    def blame(self, job: str) -> bool:
        """Count a fault that ended a job; say whether it looks like the job's own by now.

        That is where others ended well since each of its faults: else it tells of the platform.
        """
        with self._lock:
            known = self._by_job.get(job)
            if known is None:
                self._by_job[job] = _Faults(1, self._ended)
                if len(self._by_job) > _REMEMBERED_JOBS:
                    del self._by_job[next(iter(self._by_job))]
                return False
            if known.ended_before < self._ended:
                known = self._by_job[job] = _Faults(known.times + 1, self._ended)
            return known.times >= _MOST_FAULTS

    def over(self) -> None:
        """Take note that the platform let a job end."""
        with self._lock:
            self._in_a_row = 0
            self._since = math.inf
            self._ended += 1

    def forget(self, job: str) -> None:
        """Count no faults of a job that has its result."""
        with self._lock:
            self._by_job.pop(job, None)


class _Faults(NamedTuple):
    """The faults of a job that count, and how many jobs had ended at the last of them."""

    times: int
    ended_before: int
