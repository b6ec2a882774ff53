"""What the evolution API says of the workers that train: processes, their slots, their queues."""

from typing import Literal

from pydantic import Field

from commons.jobs import Device
from commons.messages import Message

EngineKind = Literal["local", "celery"]


class WorkerSlot(Message):
    """One slot of a worker: `job` is what it does now, `since` (unix seconds) for how long.

    A job is `run/individual/rung`, where the rung is known. `card` is the accelerator it has.
    """

    number: int
    job: str | None = None
    since: float | None = None
    card: str | None = None


class Trainer(Message):
    """A worker process: `per_minute` are the jobs that it ends in a minute, `done` those so far.

    `failed` counts those of them that gave no network; `leaving`: it takes no more jobs.
    """

    name: str
    machine: str | None = None
    kind: Device | None = None
    cpu: str | None = None
    slots: list[WorkerSlot]
    started: float | None = None
    done: int = 0
    failed: int = 0
    per_minute: float | None = None
    last_failure: str | None = None
    leaving: bool = False


class WorkerPage(Message):
    """Who trains now. `ready` are the jobs that wait in each queue, `dead` those given up there.

    The embedded engine has no queues, and its workers are those of the runs that it drives.
    """

    engine: EngineKind
    workers: list[Trainer]
    ready: dict[str, int] = Field(default_factory=dict)
    dead: dict[str, int] = Field(default_factory=dict)
