"""Ends jobs that were left open, and takes away what is over."""

from classification_service.job_ports import JobCleaning, job_blobs
from commons.ports import Blobs, Clock

_PARTS_AT_ONCE = 500


class JobRetention:
    """Ends jobs that were left open, and takes away those that are old or were removed.

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
