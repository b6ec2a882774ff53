"""The seams that several services share: blobs, queue, engine and clock.

Each has an embedded implementation in `commons.adapters` and one contract suite under
`tests/contract`, which every other implementation must pass too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from commons.jobs import JobEvent, JobResult, JobSpec, WorkerInfo


class Blobs(Protocol):
    """Immutable bytes under a name such as `images/ab/cd/abcd…`; created once, never changed.

    A name is one or more segments of `[A-Za-z0-9._-]` joined by `/`, none of them starting
    with a dot. Any method raises `InvalidInputError` for another name, and
    `UnavailableError` while the storage cannot be reached.
    """

    def put(self, name: str, data: bytes) -> bool:
        """Store bytes durably and say whether they are new.

        What is there already stays as it is, whatever `data` holds. When this returns, the
        blob survives a crash of the machine; before that no reader ever sees a part of it.

        Raises:
            StorageFullError: No space is left; nothing was stored.
        """
        ...

    def put_many(self, blobs: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Do what `put` does for some blobs (name, bytes), in less time than one by one.

        Raises:
            StorageFullError: No space is left; some may have been stored.
        """
        ...

    def get(self, name: str) -> bytes:
        """Return the bytes.

        Raises:
            NotFoundError: No blob has this name.
        """
        ...

    def exists(self, name: str) -> bool:
        """Say whether a blob has this name."""
        ...

    def delete(self, name: str) -> bool:
        """Remove a blob for good and say whether it was there."""
        ...

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix`, in no order; for maintenance only."""
        ...

    def stored_at(self, name: str) -> float:
        """Return when a blob was stored, in unix seconds by the storage's clock.

        Raises:
            NotFoundError: No blob has this name.
        """
        ...


@dataclass(frozen=True)
class Delivery:
    """One message in the hands of one receiver; `attempt` counts from 1."""

    queue: str
    tag: str
    body: bytes
    attempt: int


class Queue(Protocol):
    """Durable named queues with at-least-once delivery to any number of receivers.

    A queue exists from its first use. A delivery that is neither acknowledged nor rejected
    comes again; one that came too often goes to the queue named `<queue>.dead`. Any method
    raises `UnavailableError` while the queue cannot be reached.

    Queues whose name has one of the prefixes that an implementation was told expire: what
    nobody has asked for in their time is gone, with the queue. They have no dead letters: what
    would go there is dropped.
    """

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        """Append messages; when this returns they survive a crash.

        Raises:
            StorageFullError: No space is left; no message was appended.
        """
        ...

    def receive(self, queue: str, timeout_s: float) -> Delivery | None:
        """Take the oldest free message, waiting up to `timeout_s` seconds for one."""
        ...

    def acknowledge(self, delivery: Delivery) -> None:
        """Remove a message for good; a delivery that was handed out again meanwhile is no error."""
        ...

    def release(self, delivery: Delivery) -> None:
        """Give a message back that cannot be handled now: it comes again at once."""
        ...

    def reject(self, delivery: Delivery) -> None:
        """Move a message that can never be handled to `<queue>.dead`."""
        ...

    def delete(self, queue: str) -> None:
        """Remove a queue with all its messages; a queue that does not exist is no error."""
        ...


class Engine(Protocol):
    """Runs jobs on worker processes; a job that fails is a result, never an exception.

    Results are also written create-once to the blobs as `results/<job id>.json` before the
    future is done, so that a submitter that died can ask again under the same id.
    """

    def submit(self, spec: JobSpec) -> Future[JobResult]:
        """Return the future result of a job; one that already has a result is not run again.

        Raises:
            TooLargeError: The job is above what the engine carries; data goes through the blobs.
            UnavailableError: The engine is closed or its platform is gone.
        """
        ...

    def kill(self, job_id: str) -> bool:
        """Stop a waiting or running job within two seconds; say whether there was one."""
        ...

    def capacity(self) -> int:
        """Return how many jobs can run at once: 0 while no worker is there, and it may change.

        Raises:
            UnavailableError: The engine is closed or its platform is gone for good.
        """
        ...

    def workers(self) -> list[WorkerInfo]:
        """Return the workers with what each of them does.

        Raises:
            UnavailableError: The engine is closed or its platform is gone for good.
        """
        ...

    def events(self, after: int) -> list[JobEvent]:
        """Return the progress events with a sequence above `after`, oldest first."""
        ...


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> float:
        """Return the wall-clock time in unix seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards, from an arbitrary start."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...
