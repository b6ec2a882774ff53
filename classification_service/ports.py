"""What the use cases need from outside: tables that last, and a runtime for ONNX networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from commons.label_messages import GivenOpinion, OpinionsReply
from commons.messages import DatasetSummary, Examination
from commons.network_card import NetworkCard

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RegisteredNetwork:
    """A network of the gallery: id, card, when it came (unix seconds), and its name if any."""

    network: str
    card: NetworkCard
    registered: float
    name: str | None = None


@dataclass(frozen=True)
class Reign:
    """Who answers for a dataset.

    Args:
        dataset: Its name.
        network: The champion.
        promotion: Number of the promotion that made it so.
        since: When that was (unix seconds).
        before: Who answers again if the promotion is undone.
    """

    dataset: str
    network: str
    promotion: int
    since: float
    before: str | None = None


class GalleryTables(Protocol):
    """The networks and the history of promotions.

    Any method raises `UnavailableError` while the tables cannot be reached.
    """

    def add_network(self, entry: RegisteredNetwork) -> bool:
        """Store a network durably and say whether it is new; a known one stays as it is.

        Raises:
            StorageFullError: No space is left; nothing was stored.
        """
        ...

    def network(self, network: str) -> RegisteredNetwork:
        """Return one network by its id, by the first 8 or more digits of it, or by its name.

        Raises:
            NotFoundError: There is no such network.
            InvalidInputError: Several start with these digits.
        """
        ...

    def networks(self, dataset: str | None = None) -> list[RegisteredNetwork]:
        """Return the networks of one dataset, or all, newest first."""
        ...

    def promote(self, dataset: str, network: str, when: float) -> None:
        """Append a promotion durably; the latest one of a dataset that was not undone counts.

        Who is champion already is not promoted again.

        Raises:
            NotFoundError: No network has this id.
            StorageFullError: No space is left; nothing was changed.
        """
        ...

    def champions(self) -> list[Reign]:
        """Return who answers for every dataset that has a champion, by dataset name."""
        ...


class NameTables(Protocol):
    """Names of networks, each of one network; errors as in `GalleryTables`."""

    def names(self) -> dict[str, str]:
        """Return the ids of the networks that have a name, by name."""
        ...

    def give(self, network: str, name: str | None, *, move: bool = False) -> None:
        """Give a network, by its id, a name instead of the one it has; None: it has none then.

        Args:
            network: Its whole id.
            name: The name.
            move: Whether it is taken from another network that has it.

        Raises:
            NotFoundError: No network has this id.
            ConflictError: Another network has the name (kind `name-taken`).
            StorageFullError: No space is left; nothing was changed.
        """
        ...


class ExaminationTables(Protocol):
    """What was found out about networks; errors as in `GalleryTables`."""

    def add(self, examination: Examination) -> None:
        """Store an examination durably; the first one of a network stays.

        Raises:
            StorageFullError: No space is left; nothing was stored.
        """
        ...

    def examination(self, network: str) -> Examination:
        """Return the examination of a network by its whole id.

        Raises:
            NotFoundError: There is none yet (kind `not-examined`).
        """
        ...

    def unexamined(self, limit: int) -> list[str]:
        """Return networks without an examination, the newest first."""
        ...


class UnjudgedImages(Protocol):
    """Images that people label, and where it is kept what networks say about them.

    Any method raises `UnavailableError` while the sensory service cannot be reached, and, where a
    dataset is named, `NotFoundError` if there is none of this name.
    """

    def datasets(self) -> list[DatasetSummary]:
        """Return all datasets with their counts."""
        ...

    def opinions_wanted(self, dataset: str, network: str, limit: int = 500) -> list[str]:
        """Return images that a network said nothing about, the unlabeled ones first."""
        ...

    def image(self, sha256: str) -> bytes:
        """Return the bytes of an image.

        Raises:
            NotFoundError: There is none.
            GoneError: It was erased.
        """
        ...

    def give_opinions(
        self, dataset: str, network: str, opinions: Sequence[GivenOpinion]
    ) -> OpinionsReply:
        """Say what a network takes at most 1,000 images for."""
        ...


class Predictor(Protocol):
    """A network ready to answer, from any number of threads at once."""

    def predict(self, images: Floats) -> Floats:
        """Return probabilities (n, categories) of images (n, height, width, channels), 0…255.

        Raises:
            InvalidInputError: The network refuses this input (kind `damaged-network`).
        """
        ...


# ONNX bytes in; raises `InvalidInputError` (kind `damaged-network`) for what is none of ours.
LoadPredictor = Callable[[bytes], Predictor]


# ONNX bytes and the shape of an image in; raises `InvalidInputError` (kind `damaged-network`) for
# what does not answer two images within a fixed time and memory.
Prove = Callable[[bytes, tuple[int, int, int]], None]
