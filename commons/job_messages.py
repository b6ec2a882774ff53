"""What is said about jobs of the classification service: many images, one or more networks.

A job is a view: what a network says of an image is kept once, under the two of them, however
many jobs ask for it. All times are unix seconds.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from commons.messages import Answer, Message, Sha256

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
JobId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
JOB_QUEUE = "classification.jobs"
MOST_NETWORKS = 16
# What is kept of a network's answer: so many categories, the most probable first.
KEPT_ANSWERS = 10

Received = TypeVar("Received", bound=Message)


class JobNetwork(Message):
    """A network of a job; with a reason it could not be asked, or not on."""

    network: str
    dataset: str
    reason: str | None = None


class ClassificationJob(Message):
    """A job as it stands now.

    There are `images` times networks answers to be given: so many are `done`, so many `failed`.
    A job that is `open` still takes images, and what is there is worked on meanwhile.

    `queued`: nobody has begun. `running`: somebody has, or images may still come. `done`: every
    answer was given or failed, and one at least was given. `failed`: none was, and `reason` says
    why. `cancelled`: what was not given by then never will be.
    """

    id: JobId
    state: JobState
    reason: str | None
    open: bool
    who: str | None
    created: float
    finished: float | None
    networks: list[JobNetwork]
    images: int
    done: int
    failed: int


class ImageOfNoJob(Message):
    """An image that is in no job any more, nor its bytes nor an answer; it was in so many."""

    image: Sha256
    jobs: int = Field(ge=0)


class JobList(Message):
    """A page of jobs, newest first; `cursor` asks for the next one, null on the last."""

    jobs: list[ClassificationJob]
    cursor: str | None


class JobImage(Message):
    """An image of a job, durable: its sha256 is its id; `duplicate` if the job had it already."""

    image: Sha256
    file: str
    duplicate: bool


class JobReply(Message):
    """A job, and the images that a request gave it, in the order they came."""

    job: ClassificationJob
    added: list[JobImage]


class JobAnswer(Message):
    """What one network says of one image of a job, or why it says nothing.

    `answers` holds the ten most probable categories at most; it is empty unless `done`.
    """

    image: Sha256
    file: str
    network: str
    state: JobState
    answers: list[Answer]
    kind: str | None
    reason: str | None


class JobAnswers(Message):
    """A page of answers, images in the order they came; `cursor` asks for the next one."""

    answers: list[JobAnswer]
    cursor: str | None


class ClassifyPart(Message):
    """A task: which part of a job's images to classify. The tables say the rest."""

    part: int = Field(ge=1)


def read_message(kind: type[Received], body: bytes) -> Received | None:
    """Return the message in a body, or nothing if it holds none of this kind."""
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError:
        return None
