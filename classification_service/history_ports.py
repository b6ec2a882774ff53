"""What history and corrections need from outside: somebody who records, and tables that last."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from commons.history_messages import Correction, HistoryOrder, HistoryPage, RecordedClassification
from commons.messages import Category

Floats = npt.NDArray[np.float32]


class Recorder(Protocol):
    """Takes classifications that may be recorded; the hot path calls it after each answer."""

    def offer(
        self,
        *,
        data: bytes,
        image: str,
        dataset: str,
        network: str,
        categories: Sequence[Category],
        probabilities: Floats,
        seconds: float,
    ) -> str | None:
        """Return the id under which a classification will be recorded, or None if it will not.

        It never blocks, never raises and may be called from any thread. Not recorded is what the
        sampling leaves out, and what finds the queue full, which is counted. What was taken is
        in the tables a fraction of a second later.

        Args:
            data: The image as it came.
            image: Its sha256.
            dataset: Whose network answered.
            network: The id of that network.
            categories: Those of its card.
            probabilities: One a category, (categories,); kept as it is, so never changed later.
            seconds: Decoding and inference.
        """
        ...

    def close(self, timeout_s: float = 5.0) -> None:
        """Record what was taken, for at most `timeout_s` seconds; later offers get None."""
        ...


@dataclass(frozen=True)
class Record:
    """A classification as it is recorded; `at` is in unix seconds.

    `answers` are the most probable categories with their probabilities, `margin` what the first
    is ahead of the second, `entropy` that of all probabilities in nats.
    """

    id: str
    image: str
    dataset: str
    network: str
    answers: Sequence[tuple[Category, float]]
    margin: float
    entropy: float
    seconds: float
    at: float


class HistoryFilter(NamedTuple):
    """Which classifications; None leaves a filter out.

    `category` is the name of the category that the network answered; the confidence, which is
    its probability, and the time (unix seconds) lie from the first bound up to below the second.
    """

    dataset: str | None = None
    network: str | None = None
    category: str | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    since: float | None = None
    until: float | None = None
    corrected: bool | None = None


# Removes the bytes of images by their sha256; called where no row needs them any more.
DropImages = Callable[[Sequence[str]], None]


class HistoryTables(Protocol):
    """Where recorded classifications are kept.

    Any method raises `UnavailableError` while the tables cannot be reached. While a method that
    removes rows runs `drop`, no rows are added: an image that is recorded again meanwhile either
    finds its bytes kept or is added after they went.
    """

    def add(self, records: Sequence[Record]) -> None:
        """Store classifications durably.

        Raises:
            StorageFullError: No space is left; nothing was stored.
        """
        ...

    def get(self, classification: str) -> RecordedClassification:
        """Return one classification.

        Raises:
            NotFoundError: None is recorded under this id.
        """
        ...

    def page(
        self, which: HistoryFilter, order: HistoryOrder, cursor: str | None, limit: int
    ) -> HistoryPage:
        """Return at most `limit` classifications, and the cursor of the next page.

        What is recorded meanwhile changes no page to come.

        Raises:
            InvalidInputError: The cursor is none of this order.
        """
        ...

    def remove(self, *, drop: DropImages, id: str | None = None, image: str | None = None) -> int:  # noqa: A002
        """Remove one classification, or all of an image, with their corrections; return how many.

        Bytes that no row needs are dropped before this returns.
        """
        ...

    def drop_unrecorded(self, images: Sequence[str], drop: DropImages) -> int:
        """Drop those of some images that no row has; return how many."""
        ...


class ExpiringHistory(HistoryTables, Protocol):
    """The same, for whoever keeps it from growing."""

    def expire(self, *, before: float, most: int, limit: int, drop: DropImages) -> int:
        """Remove what is older than `before` or above `most` rows, oldest first; return how many.

        At most `limit` rows go at once, and none whose correction is still on its way.
        """
        ...


Outcome = Literal["sent", "refused"]


class Outgoing(NamedTuple):
    """A correction in the hands of a sender; `attempt` counts from 1."""

    number: int
    image: str
    dataset: str
    category: str
    who: str | None
    at: float
    attempt: int


class CorrectionTables(Protocol):
    """Corrections, and which of them are still to be sent.

    Any method raises `UnavailableError` while the tables cannot be reached.
    """

    def add(
        self, classification: str, category: str, who: str | None, at: float
    ) -> tuple[Correction, bool]:
        """Write a correction down durably, to be sent at once; return it, and whether it is new.

        The category that was said last already is no new correction.

        Raises:
            NotFoundError: No such classification is recorded.
            StorageFullError: No space is left; nothing was changed.
        """
        ...

    def take(self, now: float, lease_s: float) -> Outgoing | None:
        """Take the oldest correction that is due, for `lease_s` seconds, and count the attempt.

        One of an image is due only when those before it of the same image are settled.
        """
        ...

    def settle(self, number: int, outcome: Outcome, reason: str | None = None) -> None:
        """Write down what became of a correction; one that was removed meanwhile is no error."""
        ...

    def postpone(self, number: int, due: float, reason: str) -> None:
        """Have a correction sent again from `due` (unix seconds) on."""
        ...

    def waiting(self) -> int:
        """Return how many corrections are still to be sent."""
        ...


class Labels(Protocol):
    """Where corrections go: the labels of the sensory service.

    Any method raises `UnavailableError` while it cannot be reached, and another `DiceboxError`
    that it answers.
    """

    def send(self, outgoing: Outgoing, data: bytes) -> None:
        """Give an image its right label there; what has it already is left as it is."""
        ...

    def has(self, outgoing: Outgoing) -> bool:
        """Say whether this correction arrived there before, whatever was said since."""
        ...
