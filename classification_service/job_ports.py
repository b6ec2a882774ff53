"""What the jobs need from outside: tables that last.

Any method of them raises `UnavailableError` while the tables cannot be reached, and one that
writes `StorageFullError` when there is no room; then nothing was changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from commons.job_messages import ClassificationJob, JobState


@dataclass(frozen=True)
class Viewer:
    """Whose jobs are meant: those made with keys of this name, or all."""

    name: str | None
    sees_all: bool


@dataclass(frozen=True)
class NewJob:
    """A job to be made; `networks` are ids with the names of their datasets."""

    id: str
    who: str | None
    created: float
    networks: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class PartImage:
    """An image of a part: its sha256, its file's name, and where it lies in the part's blob."""

    image: str
    file: str
    start: int
    size: int


@dataclass(frozen=True)
class NewPart:
    """Images that are stored in one blob and worked on together."""

    blob: str
    images: Sequence[PartImage]


# Gets a job, a blob of it and the images to keep; returns where those lie, and nothing else.
KeepImages = Callable[[str, str, Sequence[PartImage]], NewPart]


class KnownMeanwhileError(Exception):
    """A job has some of the images by now that were to be added; `known` are their sha256."""

    def __init__(self, known: set[str]) -> None:
        super().__init__(f"known: {sorted(known)}")
        self.known = known


@dataclass(frozen=True)
class PartWork:
    """A part to be worked on, with the networks that can still be asked."""

    number: int
    job: str
    blob: str
    images: Sequence[PartImage]
    networks: Sequence[str]


@dataclass(frozen=True)
class Said:
    """What a network says of an image: (category's index, probability), most probable first.

    Without answers `kind` and `reason` say why it will never say anything of it.
    """

    image: str
    network: str
    answers: Sequence[tuple[int, float]] = ()
    kind: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class FoundAnswer:
    """An answer of a job as the tables have it; `place` is where the next page goes on."""

    place: tuple[int, int]
    image: str
    file: str
    network: str
    state: JobState
    answers: Sequence[tuple[int, float]]
    kind: str | None
    reason: str | None


@dataclass(frozen=True)
class AnswerFilter:
    """Which answers of a job.

    Args:
        job: Its id.
        network: Only those of one network.
        state: Only those in one state.
        categories: Only those whose most probable category is one of these, by the network that
            says it: (network, category's index).
        least: Only those at least this sure of it.
        most: Only those at most this sure of it.
    """

    job: str
    network: str | None = None
    state: JobState | None = None
    categories: Sequence[tuple[str, int]] | None = None
    least: float | None = None
    most: float | None = None


class JobCatalog(Protocol):
    """The jobs as those who made them see them."""

    def add(self, job: NewJob) -> None:
        """Make a job durably."""
        ...

    def get(self, job: str, viewer: Viewer) -> ClassificationJob:
        """Return a job.

        Raises:
            NotFoundError: The viewer has no such job (kind `unknown-job`).
        """
        ...

    def page(
        self, viewer: Viewer, before: int | None, limit: int
    ) -> tuple[list[ClassificationJob], int | None]:
        """Return jobs, newest first, those before a place, with the place of the next page."""
        ...

    def end(self, job: str, when: float, *, cancel: bool = False, remove: bool = False) -> None:
        """Take no more images; also: give up what was not done, and forget the job."""
        ...


class JobImages(Protocol):
    """The images of jobs."""

    def known(self, job: str, images: Sequence[str]) -> set[str]:
        """Return those of some images that the job has."""
        ...

    def add(self, job: str, parts: Sequence[NewPart], when: float, most: int) -> list[int]:
        """Give an open job images durably that it has not, each once; return the parts' numbers.

        Raises:
            NotFoundError: There is no such job (kind `unknown-job`).
            ConflictError: It takes no more images (kind `job-closed`).
            TooLargeError: It would have more than `most` images.
            KnownMeanwhileError: It has some of them. Their bytes must not lie in a second blob,
                where no erasure would find them. In each case nothing changed.
        """
        ...

    def answers(
        self, which: AnswerFilter, after: tuple[int, int] | None, limit: int
    ) -> list[FoundAnswer]:
        """Return what was said of a job's images, in the order they came, after a place."""
        ...


class JobWork(Protocol):
    """What a worker needs of the jobs and their parts."""

    def begin(self, part: int, when: float) -> PartWork | None:
        """Return a part to be worked on; nothing if there is nothing to be done for it."""
        ...

    def give_up(self, part: int, network: str | None, reason: str) -> None:
        """Write down why a network cannot answer this job, or nobody can answer this part."""
        ...

    def finish(self, part: int, when: float) -> None:
        """Count what was said of a part, and finish the job if it was the last."""
        ...

    def lost(self, before: float, now: float, limit: int) -> list[int]:
        """Return parts whose task was sent before a time and is not done, and note it is sent."""
        ...


@dataclass(frozen=True)
class Claim:
    """Images that a network is to be asked about by whoever claimed them, and by nobody else.

    Args:
        mine: Those that were free.
        others: How many somebody else has at the moment.
    """

    mine: Sequence[str]
    others: int


class AnswerBook(Protocol):
    """What networks say of images, kept once, whoever asks."""

    def claim(self, images: Sequence[str], network: str, now: float, until: float) -> Claim:
        """Claim what nobody knows yet of some images, up to a time: then it is free again."""
        ...

    def release(self, images: Sequence[str], network: str) -> None:
        """Give images back of which nothing was recorded."""
        ...

    def record(self, part: int, said: Sequence[Said], when: float) -> bool:
        """Keep what was said durably, unless the part is not to be worked on any more: say so.

        Of an image that was taken out of the part meanwhile nothing is kept.
        """
        ...


class JobCleaning(Protocol):
    """What ends jobs that are over, and takes away what is left of them."""

    def close_idle(self, before: float, now: float) -> int:
        """Close open jobs that got no image since a time, and return how many."""
        ...

    def remove_old(self, before: float, now: float) -> int:
        """Remove jobs that were finished before a time, and return how many."""
        ...

    def removed_parts(self, limit: int) -> list[tuple[int, str]]:
        """Return parts of removed jobs, with their blobs."""
        ...

    def forget_part(self, part: int) -> None:
        """Forget a part, its images, and what was said of those that no other job has."""
        ...

    def forget_jobs(self) -> list[str]:
        """Forget removed jobs that have no parts left, and return them."""
        ...

    def unknown(self, blobs: Sequence[str]) -> list[str]:
        """Return those of some blobs that no part has."""
        ...


class JobErasure(Protocol):
    """What takes an image out of jobs, whatever their state."""

    def holders(self, image: str) -> list[int]:
        """Return the parts that have an image, those of removed jobs too."""
        ...

    def take_out(self, image: str, part: int, when: float, keep: KeepImages) -> str | None:
        """Take an image out of a part, and return the blob that the part no longer has.

        What was said of the image goes too; a part that has no other one goes, else `keep` says
        where the others lie from now on. If the part has no such image, nothing is done.
        """
        ...


JOB_BLOBS = "jobs/"


def job_blobs(job: str) -> str:
    """Return what the names of a job's blobs begin with."""
    return f"{JOB_BLOBS}{job}/"
