"""How the images of a part lie in its blob: one behind the other, and nothing between them."""

from collections.abc import Callable, Sequence

from classification_service.job_ports import NewPart, PartImage, job_blobs
from commons.errors import NotFoundError
from commons.ports import Blobs


class PartPacker:
    """Stores parts of jobs.

    Args:
        blobs: Where.
        new_id: Returns 16 hexadecimal digits that were never returned before.
    """

    def __init__(self, blobs: Blobs, new_id: Callable[[], str]) -> None:
        self._blobs = blobs
        self._new_id = new_id

    def store(self, job: str, images: Sequence[tuple[str, str, bytes]]) -> NewPart:
        """Return a part, durable, of images: their sha256, their files' names, their bytes."""
        laid: list[PartImage] = []
        start = 0
        for image, file, data in images:
            laid.append(PartImage(image, file, start, len(data)))
            start += len(data)
        part = NewPart(f"{job_blobs(job)}{self._new_id()}", laid)
        self._blobs.put(part.blob, b"".join(data for _, _, data in images))
        return part

    def keep(self, job: str, blob: str, kept: Sequence[PartImage]) -> NewPart:
        """Return a part that has some images of a blob and no byte of the others, durable.

        The blob stays. One that is gone already is told as it was.
        """
        try:
            data = self._blobs.get(blob)
        except NotFoundError:
            return NewPart(blob, kept)
        return self.store(
            job, [(one.image, one.file, data[one.start : one.start + one.size]) for one in kept]
        )
