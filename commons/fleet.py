"""What engines and workers on other machines say to each other: JSON words, and names of queues.

Jobs themselves travel as Celery's messages (`commons.adapters.celery_app`). A word may be lost:
whoever waits for one looks into the blobs, or asks, from time to time.
"""

import hashlib
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from commons.errors import InvalidInputError, TooLargeError
from commons.jobs import Device, JobResult, JobValue

DEVICES: tuple[Device, ...] = get_args(Device)
# Exchanges: workers say to all engines how they are, and engines ask them to say it now.
BEATS = "dicebox.beats"
ASKS = "dicebox.asks"
# No word and no job is larger: data goes through the blobs and over HTTP.
MOST_BYTES = 2**20
# A job that a queue has delivered so often goes to its dead letters; a worker gives it up before.
MOST_DELIVERIES = 21


class SlotState(JobValue):
    """What one slot of a worker does (`since`: unix seconds); `card`: the accelerator it has."""

    number: int
    job: str | None = None
    since: float | None = None
    card: str | None = None


class WorkerBeat(JobValue):
    """How a worker is: said every `every_s` seconds, on every change, and when asked.

    `started` and `time` are unix seconds of the worker's clock. `done` counts jobs that ended
    and `failed` those of them without a value; `seconds_busy` is the sum over the slots.
    `leaving`: takes no more jobs.
    """

    word: Literal["beat"] = "beat"
    name: str
    machine: str
    kind: Device
    cpu: str
    slots: tuple[SlotState, ...]
    started: float
    time: float
    every_s: float
    done: int = 0
    failed: int = 0
    seconds_busy: float = 0.0
    per_minute: float = 0.0
    last_failure: str | None = None
    leaving: bool = False


class Ask(JobValue):
    """Asks every worker for a beat now."""

    word: Literal["ask"] = "ask"


class Started(JobValue):
    """A slot has begun a job that waited `waited_s` seconds since it was submitted."""

    word: Literal["started"] = "started"
    job: str
    worker: str
    slot: int
    time: float
    waited_s: float


class Report(JobValue):
    """What a running job reports."""

    word: Literal["report"] = "report"
    job: str
    worker: str
    time: float
    data: dict[str, Any]


class Ended(JobValue):
    """The result of a job as it is stored, or `platform`: a worker has been broken for long.

    Of the latter nothing is stored, and the job is in its queue again.
    """

    word: Literal["ended"] = "ended"
    result: JobResult


class Stop(JobValue):
    """Ends a running job; `keep`: its result is stored as `cancelled`, else none is stored."""

    word: Literal["stop"] = "stop"
    job: str
    keep: bool = True


class TellToo(JobValue):
    """Has whoever runs a job tell one more queue of it."""

    word: Literal["tell"] = "tell"
    job: str
    reply_to: str


class Fleet(JobValue):
    """The workers that answered; by queue of jobs, how many wait and how many are dead letters."""

    workers: tuple[WorkerBeat, ...]
    ready: dict[str, int]
    dead: dict[str, int]


Word = WorkerBeat | Ask | Started | Report | Ended | Stop | TellToo
_WORD: TypeAdapter[Word] = TypeAdapter(Annotated[Word, Field(discriminator="word")])


def jobs_queue(kind: Device) -> str:
    """Return the queue of the jobs for workers of a kind."""
    return f"dicebox.jobs.{kind}"


def running_queue(job: str) -> str:
    """Return the queue that whoever runs a job holds alone, and is spoken to through.

    Job ids may be longer than the 255 bytes of a queue's name.
    """
    return f"dicebox.running.{hashlib.sha256(job.encode()).hexdigest()[:32]}"


def to_bytes(word: Word) -> bytes:
    """Return a word's JSON.

    Raises:
        TooLargeError: It is above `MOST_BYTES`.
    """
    return checked_size(word.model_dump_json().encode(), f"the word {word.word!r}")


def from_bytes(body: bytes) -> Word:
    """Return the word that a JSON text holds.

    Raises:
        InvalidInputError: It holds none.
    """
    try:
        return _WORD.validate_json(body)
    except ValidationError as error:
        raise InvalidInputError(f"expected a word of the fleet, got {body[:80]!r}") from error


def checked_size(body: bytes, what: str) -> bytes:
    """Return what is small enough to pass through the broker.

    Raises:
        TooLargeError: It is above `MOST_BYTES`.
    """
    if len(body) > MOST_BYTES:
        raise TooLargeError(
            f"expected at most {MOST_BYTES} bytes for the broker, {what} has {len(body)}"
        )
    return body
