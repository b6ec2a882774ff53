"""Faults of the platform, as a worker counts them: no blobs, no sensory service, a broken card."""

import threading
from collections import Counter

_LONGEST_PAUSE_S = 60.0
_MOST_DOUBLINGS = 10
_MOST_FAULTS = 3
_REMEMBERED_JOBS = 1000


class PlatformFaults:
    """Says how long a slot rests after a fault, and when it looks like the job's own.

    Args:
        pause_s: The rest after the first fault; each further one in a row doubles it, up to a
            minute.
    """

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._by_job: Counter[str] = Counter()
        self._in_a_row = 0

    def rest_s(self) -> float:
        """Count a fault, and return for how many seconds its slot takes no job."""
        with self._lock:
            seconds = min(_LONGEST_PAUSE_S, self._pause_s * (1 << self._in_a_row))
            self._in_a_row = min(self._in_a_row + 1, _MOST_DOUBLINGS)
        return seconds

    def blame(self, job: str) -> bool:
        """Count a fault that ended a job; say whether it looks like the job's own by now."""
        with self._lock:
            self._by_job[job] += 1
            if len(self._by_job) > _REMEMBERED_JOBS:
                del self._by_job[next(iter(self._by_job))]
            return self._by_job[job] >= _MOST_FAULTS

    def over(self) -> None:
        """Take note that the platform let a job end."""
        with self._lock:
            self._in_a_row = 0

    def forget(self, job: str) -> None:
        """Count no faults of a job that has its result."""
        with self._lock:
            self._by_job.pop(job, None)
