"""Ends jobs that were left open, and takes away what is over."""

from collections.abc import Iterator
from itertools import islice

from classification_service.job_ports import JOB_BLOBS, JobCleaning, job_blobs
from commons.errors import NotFoundError
from commons.ports import Blobs, Clock

_PARTS_AT_ONCE = 500
_SWEEP_EVERY_S = 3600.0
# Nobody takes so long from storing a part to its row.
_OLD_S = 3600.0


class JobRetention:
    """Ends jobs that were left open, and takes away those that are old or were removed.

    Now and then parts go that no table knows: whoever stored or replaced them was killed then.

    Args:
        cleaning: The tables.
        blobs: Where the bytes of images are.
        clock: What time it is.
        kept_s: So long after its end a job is kept.
        open_s: A job that got no image for so long takes none any more.
    """

    def __init__(
        self, cleaning: JobCleaning, blobs: Blobs, clock: Clock, kept_s: float, open_s: float
    ) -> None:
        self._cleaning = cleaning
        self._blobs = blobs
        self._clock = clock
        self._kept_s = kept_s
        self._open_s = open_s
        self._next_sweep = clock.monotonic()

    def step(self) -> None:
        """Do what is due; killed at any point, the next step goes on there."""
        now = self._clock.now()
        self._cleaning.close_idle(now - self._open_s, now)
        self._cleaning.remove_old(now - self._kept_s, now)
        # The rest comes with the next step: other chores wait for this one.
        for part, blob in self._cleaning.removed_parts(_PARTS_AT_ONCE):
            # In this order: a part that is forgotten has left nothing.
            self._blobs.delete(blob)
            self._cleaning.forget_part(part)
        for job in self._cleaning.forget_jobs():
            # Of requests that ended before they told the tables.
            for name in list(self._blobs.names(job_blobs(job))):
                self._blobs.delete(name)
        if self._clock.monotonic() >= self._next_sweep:
            self._next_sweep = self._clock.monotonic() + _SWEEP_EVERY_S
            self._sweep()

    def _sweep(self) -> None:
        old = self._old_blobs()
        while some := list(islice(old, _PARTS_AT_ONCE)):
            for blob in self._cleaning.unknown(some):
                self._blobs.delete(blob)

    def _old_blobs(self) -> Iterator[str]:
        now = self._clock.now()
        for name in self._blobs.names(JOB_BLOBS):
            try:
                is_old = now - self._blobs.stored_at(name) > _OLD_S
            except NotFoundError:  # somebody was faster
                continue
            if is_old:
                yield name
