"""The use cases of jobs: make one, give it images, look at it, end it."""

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress

from classification_service.job_packing import PartPacker
from classification_service.job_ports import (
    JobCatalog,
    JobImages,
    KnownMeanwhileError,
    NewJob,
    NewPart,
    Viewer,
)
from classification_service.ports import GalleryTables
from commons.errors import (
    ConflictError,
    DiceboxError,
    InvalidInputError,
    NotFoundError,
    StorageFullError,
    TooLargeError,
)
from commons.job_messages import (
    JOB_QUEUE,
    MOST_NETWORKS,
    ClassificationJob,
    ClassifyPart,
    JobImage,
    JobList,
    JobReply,
)
from commons.ports import Blobs, Clock, Queue

# A part is read whole by whoever works on it, and is what a worker that dies leaves to others.
_PART_IMAGES = 256
_PART_BYTES = 8 * 1024 * 1024
_LONGEST_NAME = 255
_LOG = logging.getLogger(__name__)
File = tuple[str, bytes, str]  # its name, its bytes, their sha256


class JobDesk:
    """Jobs, as those who make them see them; each sees those made with keys of the same name.

    Args:
        catalog: The jobs.
        images: Their images.
        gallery: Which networks there are.
        blobs: Where the bytes of images are.
        queue: Where the workers look for tasks.
        clock: What time it is.
        new_id: Returns 16 hexadecimal digits that were never returned before.
        most_images: A job has no more.
    """

    def __init__(
        self,
        catalog: JobCatalog,
        images: JobImages,
        gallery: GalleryTables,
        blobs: Blobs,
        queue: Queue,
        clock: Clock,
        new_id: Callable[[], str],
        most_images: int,
    ) -> None:
        self._catalog = catalog
        self._images = images
        self._gallery = gallery
        self._blobs = blobs
        self._queue = queue
        self._clock = clock
        self._new_id = new_id
        self._packer = PartPacker(blobs, new_id)
        self._most_images = most_images

    def make(
        self,
        viewer: Viewer,
        networks: Sequence[str],
        dataset: str | None,
        files: Iterable[tuple[str, bytes]],
        *,
        is_open: bool,
    ) -> JobReply:
        """Return a new job with these images, durable; the work on them begins at once.

        Args:
            viewer: Whose it is.
            networks: Ids, 8 or more of their first digits, or names; default: the present
                champion.
            dataset: Whose champion; may be left out while there is only one.
            files: Names and bytes. What is no image fails alone, later.
            is_open: Whether more images will come by `add`.

        Raises:
            NotFoundError: There is no such network.
            InvalidInputError: There are too many networks, the dataset must be named, or there
                is no image and none will come.
            ConflictError: There is no champion (kind `no-network`).
            TooLargeError: There are too many images.
        """
        asked = self._asked(networks, dataset)
        job = self._new_id()
        self._catalog.add(NewJob(job, viewer.name, self._clock.now(), asked))
        try:
            added = self._add(job, files)
            if not added and not is_open:
                raise InvalidInputError(
                    "expected images, as they are or in a form's field `files`, or ?open=true"
                )
        except DiceboxError:
            with suppress(DiceboxError):  # if it stays, it is closed in time
                self._catalog.end(job, self._clock.now(), remove=True)
            raise
        if not is_open:
            self._catalog.end(job, self._clock.now())
        return JobReply(job=self._catalog.get(job, viewer), added=added)

    def add(
        self, job: str, viewer: Viewer, files: Iterable[tuple[str, bytes]], *, is_open: bool
    ) -> JobReply:
        """Return a job that has these images too, durable; safe to repeat while it is open.

        Raises:
            NotFoundError: The viewer has no such job (kind `unknown-job`).
            ConflictError: It takes no more images (kind `job-closed`).
            TooLargeError: It would have too many.
        """
        self._catalog.get(job, viewer)
        added = self._add(job, files)
        if not is_open:
            self._catalog.end(job, self._clock.now())
        return JobReply(job=self._catalog.get(job, viewer), added=added)

    def get(self, job: str, viewer: Viewer) -> ClassificationJob:
        """Return a job; raises `NotFoundError` (kind `unknown-job`)."""
        return self._catalog.get(job, viewer)

    def page(self, viewer: Viewer, cursor: str | None, limit: int) -> JobList:
        """Return the viewer's jobs, newest first.

        Raises:
            InvalidInputError: The cursor is none.
        """
        jobs, place = self._catalog.page(viewer, _place(cursor), limit)
        return JobList(jobs=jobs, cursor=None if place is None else str(place))

    def close(self, job: str, viewer: Viewer) -> ClassificationJob:
        """Return a job that takes no more images; safe to repeat."""
        self._catalog.get(job, viewer)
        self._catalog.end(job, self._clock.now())
        return self._catalog.get(job, viewer)

    def cancel(self, job: str, viewer: Viewer) -> ClassificationJob:
        """Return a job that is not worked on any more; what was said is kept. Safe to repeat."""
        self._catalog.get(job, viewer)
        self._catalog.end(job, self._clock.now(), cancel=True)
        return self._catalog.get(job, viewer)

    def remove(self, job: str, viewer: Viewer) -> None:
        """Forget a job, and soon its images and what was said of them alone."""
        self._catalog.get(job, viewer)
        self._catalog.end(job, self._clock.now(), remove=True)

    def _asked(self, networks: Sequence[str], dataset: str | None) -> list[tuple[str, str]]:
        if len(networks) > MOST_NETWORKS:
            raise InvalidInputError(
                f"expected at most {MOST_NETWORKS} networks, got {len(networks)}"
            )
        if not networks:
            return [self._champion(dataset)]
        found = [self._gallery.network(network) for network in networks]
        asked = dict.fromkeys((one.network, one.card.dataset) for one in found)
        strange = [of for _, of in asked if dataset not in (None, of)]
        if strange:
            raise InvalidInputError(
                f"expected networks of the dataset {dataset}, one is of {strange[0]}"
            )
        return list(asked)

    def _champion(self, dataset: str | None) -> tuple[str, str]:
        champions = {one.dataset: str(one.network) for one in self._gallery.champions()}
        if dataset is None and len(champions) > 1:
            names = ", ".join(sorted(champions))
            raise InvalidInputError(f"expected ?dataset= to name one of {names}, got none")
        name = dataset or next(iter(champions), "")
        if name not in champions:
            where = f" for the dataset {dataset}" if dataset else ""
            raise ConflictError(f"there is no champion{where} yet: evolve one", kind="no-network")
        return champions[name], name

    def _add(self, job: str, files: Iterable[tuple[str, bytes]]) -> list[JobImage]:
        """Store images and have them worked on; never more than one part in memory."""
        added: list[JobImage] = []
        parts: list[NewPart] = []
        try:
            for some in _parted(files):
                known = {one.image for one in added}
                known |= self._images.known(job, [image for _, _, image in some])
                added += _added(some, known)
                new = [
                    file
                    for file, one in zip(some, added[-len(some) :], strict=True)
                    if not one.duplicate
                ]
                if new:
                    parts.append(
                        self._packer.store(job, [(image, name, data) for name, data, image in new])
                    )
            self._tell(job, parts)
        except (NotFoundError, ConflictError, TooLargeError, StorageFullError):
            # Of each of these is known that it added nothing.
            self._delete(part.blob for part in parts)
            raise
        return added

    def _tell(self, job: str, parts: list[NewPart]) -> None:
        """Have the tables know of parts, and the workers; `parts` are in the end what they know."""
        while parts:
            try:
                numbers = self._images.add(job, parts, self._clock.now(), self._most_images)
            except KnownMeanwhileError as error:
                parts[:] = list(self._without(error.known, job, parts))
            else:
                self._send([ClassifyPart(part=number) for number in numbers])
                return

    def _without(
        self, known: Collection[str], job: str, parts: Sequence[NewPart]
    ) -> Iterator[NewPart]:
        """Yield parts without what the job has got from somebody else meanwhile."""
        for part in parts:
            kept = [one for one in part.images if one.image not in known]
            if len(kept) == len(part.images):
                yield part
                continue
            if kept:
                yield self._packer.keep(job, part.blob, kept)
            self._blobs.delete(part.blob)

    def _delete(self, blobs: Iterable[str]) -> None:
        for blob in blobs:
            self._blobs.delete(blob)

    def _send(self, tasks: Sequence[ClassifyPart]) -> None:
        try:
            self._queue.publish(JOB_QUEUE, [task.model_dump_json().encode() for task in tasks])
        except DiceboxError as error:
            # The tables know of them, and workers with nothing to do look there.
            _LOG.warning("%d parts of a job wait for the queue: %s", len(tasks), error)


def _parted(files: Iterable[tuple[str, bytes]]) -> Iterator[list[File]]:
    part: list[File] = []
    size = 0
    for name, data in files:
        if part and (len(part) == _PART_IMAGES or size + len(data) > _PART_BYTES):
            yield part
            part, size = [], 0
        part.append((_name(name), data, hashlib.sha256(data).hexdigest()))
        size += len(data)
    if part:
        yield part


def _added(files: Sequence[File], known: set[str]) -> Iterator[JobImage]:
    """Yield what became of files; what comes again here is a duplicate too."""
    for name, _, image in files:
        yield JobImage(image=image, file=name, duplicate=image in known)
        known.add(image)


def _name(name: str) -> str:
    """Return a file's name as text for people: no line breaks, nothing that no table takes."""
    return "".join(one if one.isprintable() else "?" for one in name)[:_LONGEST_NAME]


def _place(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit():
        raise InvalidInputError(f"expected the cursor of a page before, got {cursor[:40]!r}")
    return int(cursor)
