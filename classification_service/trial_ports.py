"""What trials, rollbacks and the guard need from outside."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from commons.messages import Snapshot, SnapshotEntry, SnapshotImage, Split
from commons.trial_messages import ReignEvent, Trial, TrialState

# Latencies are counted in so many ranges, each reaching half as far again as the one before.
LATENCY_RANGES = 48


@dataclass(frozen=True)
class Traffic:
    """What a network did in some time.

    Args:
        answers: How often it was asked.
        errors: How often of these it failed.
        compared: How often its answer was held against another one's.
        disagreed: How often of these the most probable category was another one.
        latencies: Good answers by range of latency (see `guarding.latency_range`).
    """

    answers: int = 0
    errors: int = 0
    compared: int = 0
    disagreed: int = 0
    latencies: tuple[int, ...] = (0,) * LATENCY_RANGES

    def __add__(self, other: "Traffic") -> "Traffic":
        """Return what both did together."""
        return Traffic(
            self.answers + other.answers,
            self.errors + other.errors,
            self.compared + other.compared,
            self.disagreed + other.disagreed,
            tuple(a + b for a, b in zip(self.latencies, other.latencies, strict=True)),
        )


@dataclass(frozen=True)
class Pair:
    """One image with a known category, and which of the two networks on trial named it."""

    image: str
    challenger_right: bool
    champion_right: bool


class ReignTables(Protocol):
    """Promotions that were undone, and the history; errors as in `ports.GalleryTables`."""

    def roll_back(self, promotion: int, reason: str, when: float, *, automatic: bool) -> None:
        """Undo a promotion durably: who was champion before it is so again.

        Raises:
            NotFoundError: There is no such promotion.
            ConflictError: It was undone already (kind `rolled-back`).
            StorageFullError: No space is left; nothing was changed.
        """
        ...

    def history(self, dataset: str) -> list[ReignEvent]:
        """Return the promotions and rollbacks of a dataset, newest first."""
        ...


class TrialTables(Protocol):
    """Networks on trial: one at a time for each dataset; errors as in `ports.GalleryTables`."""

    def begin(self, trial: Trial) -> Trial:
        """Store a trial durably and return it with its id.

        One that still runs for the dataset is ended as `superseded`.

        Raises:
            ConflictError: Another one began at the same moment (kind `trial-began`).
            StorageFullError: No space is left; nothing was changed.
        """
        ...

    def running(self) -> list[Trial]:
        """Return the trials that run, by dataset name."""
        ...

    def trials(self, dataset: str) -> list[Trial]:
        """Return the trials of a dataset, newest first."""
        ...

    def end(self, trial: int, state: TrialState, reason: str, when: float) -> bool:
        """End a trial durably and say whether it was still running.

        Raises:
            StorageFullError: No space is left; nothing was changed.
        """
        ...

    def count(self, trial: int, traffic: Traffic) -> None:
        """Add requests to those that a trial has seen."""
        ...


class PairTables(Protocol):
    """What a judge finds out about trials and decides; errors as in `ports.GalleryTables`."""

    def add_pairs(self, trial: int, pairs: Sequence[Pair]) -> Trial:
        """Store pairs durably, each image once, and return the trial with their numbers.

        Raises:
            NotFoundError: There is no such trial.
            StorageFullError: No space is left; nothing was changed.
        """
        ...

    def judged(self, trial: int) -> set[str]:
        """Return the images that are stored already."""
        ...

    def promote(self, trial: Trial, reason: str, when: float) -> bool:
        """Promote the network of a trial and end the trial, durably, both or neither.

        Nothing is changed, and False returned, if the trial has ended meanwhile or another
        network than its champion answers.

        Raises:
            StorageFullError: No space is left; nothing was changed.
        """
        ...


class TrafficTables(Protocol):
    """What all processes of the service counted; errors as in `ports.GalleryTables`."""

    def add(self, counted: Iterable[tuple[str, Traffic]], when: float) -> None:
        """Store what networks did up to now since it was last stored."""
        ...

    def total(self, network: str, since: float) -> Traffic:
        """Return what was stored of a network since a time (unix seconds)."""
        ...

    def forget(self, before: float) -> None:
        """Remove what was stored before a time (unix seconds)."""
        ...


class LabeledImages(Protocol):
    """Frozen images with labels: what the sensory service keeps.

    Any method raises `UnavailableError` while it cannot be reached.
    """

    def snapshots(self, dataset: str) -> list[SnapshotEntry]:
        """Return the snapshots of a dataset, newest first.

        Raises:
            NotFoundError: There is no such dataset.
        """
        ...

    def snapshot(self, snapshot: str) -> Snapshot:
        """Return a frozen snapshot."""
        ...

    def snapshot_images(self, snapshot: str, split: Split) -> Iterator[SnapshotImage]:
        """Yield the images of one split."""
        ...

    def image(self, sha256: str) -> bytes:
        """Return the bytes of an image.

        Raises:
            NotFoundError: There is none.
            GoneError: It was erased.
        """
        ...
