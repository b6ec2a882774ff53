"""What an engine is given and what it gives back: values with a JSON form.

A job is a dotted name and JSON arguments; no callable and no pickle crosses a process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from commons.errors import NotFoundError
from commons.ports import Blobs

Outcome = Literal[
    "ok",
    "diverged",
    "out-of-memory",
    "killed",
    "timed-out",
    "cancelled",
    "error",
    "lost",
]
OUTCOMES: tuple[str, ...] = get_args(Outcome)
# What a job can ask to run on.
Device = Literal["cpu", "gpu"]


class JobValue(BaseModel):
    """Base of the frozen values below: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class JobSpec(JobValue):
    """One piece of work: `function` is `package.module:name`, imported only by the worker.

    `device`: where it must run; none is anywhere.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$")
    function: str = Field(pattern=r"^[a-z_][\w.]*:[a-z_]\w*$")
    arguments: dict[str, Any]
    timeout_s: float | None = Field(default=None, gt=0)
    device: Device | None = None


class JobResult(JobValue):
    """How a job ended. `value` is there exactly when `outcome` is `ok`; `seconds` is its cost.

    `platform`: the fault is not the job's own (no room for its result, a service that is gone);
    such a result is not stored, and the job can be run again.
    """

    id: str
    outcome: Outcome
    value: dict[str, Any] | None = None
    reason: str | None = None
    seconds: float = 0.0
    worker: str | None = None
    platform: bool = False


class WorkerInfo(JobValue):
    """What one worker process does right now (`since`: unix seconds)."""

    name: str
    job: str | None = None
    since: float | None = None
    jobs_done: int = 0


class JobEvent(JobValue):
    """One report of a running job; `sequence` grows by one per event of an engine."""

    sequence: int
    job: str
    worker: str
    time: float
    data: dict[str, Any]


@dataclass(frozen=True)
class JobContext:
    """What a running job may touch.

    Args:
        job_id: The id it was submitted under.
        blobs: Where lasting results go.
        cache: A folder of this machine, shared by its workers, safe to lose.
        report: Sends one JSON-able dict of progress to whoever watches.
    """

    job_id: str
    blobs: Blobs
    cache: Path
    report: Callable[[dict[str, Any]], None]


JobFunction = Callable[[dict[str, Any], JobContext], dict[str, Any]]


def result_blob(job_id: str) -> str:
    """Return the name of the blob that a job's result is stored under, create-once."""
    return f"results/{job_id}.json"


def stored_result(blobs: Blobs, job_id: str) -> JobResult | None:
    """Return the result that some worker has already stored under a job's id."""
    try:
        return JobResult.model_validate_json(blobs.get(result_blob(job_id)))
    except NotFoundError:
        return None
