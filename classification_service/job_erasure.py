"""Erasure of an image from all jobs: its bytes, and what was said of it."""

from classification_service.job_packing import PartPacker
from classification_service.job_ports import JobErasure
from commons.job_messages import ImageOfNoJob
from commons.ports import Blobs, Clock


class JobEraser:
    """The use case of erasing an image from the jobs.

    Args:
        tables: Which parts of jobs have it.
        packer: Stores what is left of them.
        blobs: Where the bytes of images are.
        clock: What time it is.
    """

    def __init__(self, tables: JobErasure, packer: PartPacker, blobs: Blobs, clock: Clock) -> None:
        self._tables = tables
        self._packer = packer
        self._blobs = blobs
        self._clock = clock

    def erase(self, image: str) -> ImageOfNoJob:
        """Erase an image for good, also one of no job, and say of how many jobs it was.

        One that was interrupted is finished by asking for it again; a blob that was left behind
        nonetheless goes with those of requests that were cut off (`JobRetention`).

        Raises:
            StorageFullError: No space is left for the images beside it.
            UnavailableError: Tables or blobs cannot be reached.
        """
        jobs = 0
        for part in self._tables.holders(image):
            blob = self._tables.take_out(image, part, self._clock.now(), self._packer.keep)
            if blob is not None:
                self._blobs.delete(blob)
                jobs += 1
        return ImageOfNoJob(image=image, jobs=jobs)
