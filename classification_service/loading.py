"""From a card to a network that answers: every claim of the card is checked on the way."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from classification_service.archive_rules import keras_fault, npz_fault
from classification_service.onnx_rules import onnx_fault
from classification_service.ports import LoadPredictor, Predictor
from commons.adapters.decode import DECODERS
from commons.errors import InvalidInputError, NotFoundError
from commons.genome import genome_hash
from commons.network_card import NetworkCard, NetworkFile
from commons.ports import Blobs

FileKind = Literal["keras", "onnx", "weights"]
FILE_KINDS: tuple[FileKind, ...] = ("keras", "onnx", "weights")
# The first runs of a session allocate; the requests after these do not pay for it.
_WARM_UP_RUNS = 3
_SUM_TOLERANCE = 1e-3
_MOST_FILE_BYTES = 256 * 1024 * 1024
_MOST_VALUES = 1 << 24
_MOST_CATEGORIES = 100_000
_RULES: dict[FileKind, Callable[[bytes], str | None]] = {
    "keras": keras_fault,
    "onnx": onnx_fault,
    "weights": npz_fault,
}


@dataclass(frozen=True)
class LoadedNetwork:
    """A network in memory, warm: asking it costs the inference and nothing else."""

    network: str
    card: NetworkCard
    predictor: Predictor


class Loader:
    """Brings networks from the blobs into memory; raises before anything half good comes out.

    Args:
        blobs: Where the files are.
        load_predictor: Makes an ONNX file answer.
        most_bytes: A network with a larger file is refused.
    """

    def __init__(
        self, blobs: Blobs, load_predictor: LoadPredictor, *, most_bytes: int = _MOST_FILE_BYTES
    ) -> None:
        self._blobs = blobs
        self._load_predictor = load_predictor
        self._most_bytes = most_bytes

    def load(self, network: str, card: NetworkCard) -> LoadedNetwork:
        """Return the network, warmed up.

        Raises:
            InvalidInputError: The card or its ONNX file is not what it says (`damaged-network`).
            UnavailableError: The blobs cannot be reached.
        """
        check_card(card)
        predictor = self._load_predictor(self.read(card, "onnx"))
        _warm_up(predictor, card)
        return LoadedNetwork(network, card, predictor)

    def inspect(self, card: NetworkCard) -> bytes:
        """Look into all files of a network without loading them; return the ONNX file.

        Raises:
            InvalidInputError: The card is not what it says, or a file holds what is not ours:
                code, pickles, foreign operators (`damaged-network`).
            UnavailableError: The blobs cannot be reached.
        """
        check_card(card)
        for kind in FILE_KINDS:
            fault = _RULES[kind](self.read(card, kind))
            if fault is not None:
                raise damaged(fault)
        return self.read(card, "onnx")

    def missing(self, card: NetworkCard) -> list[str]:
        """Return the names of the files of a network that are not in the blobs.

        Raises:
            InvalidInputError: The card has a name that no blob can have.
            UnavailableError: The blobs cannot be reached.
        """
        files: list[NetworkFile] = [getattr(card, kind) for kind in FILE_KINDS]
        return [file.blob for file in files if not self._blobs.exists(file.blob)]

    def read(self, card: NetworkCard, kind: FileKind) -> bytes:
        """Return one file of a network, size and hash verified.

        Raises:
            InvalidInputError: It is missing or differs from the card (`damaged-network`).
            UnavailableError: The blobs cannot be reached.
        """
        file: NetworkFile = getattr(card, kind)
        if file.bytes > self._most_bytes:
            raise damaged(
                f"its {kind} file has {file.bytes:,} bytes, expected at most {self._most_bytes:,}"
            )
        try:
            data = self._blobs.get(file.blob)
        except NotFoundError as error:
            raise damaged(f"its {kind} file {file.blob} is not in the blobs") from error
        if len(data) != file.bytes:
            raise damaged(f"its {kind} file has {len(data)} bytes, the card says {file.bytes}")
        found = hashlib.sha256(data).hexdigest()
        if found != file.sha256:
            raise damaged(f"its {kind} file has the hash {found}, the card says {file.sha256}")
        return data


def check_card(card: NetworkCard) -> None:
    """Return if the card agrees with itself and with this service.

    Raises:
        InvalidInputError: It does not (kind `damaged-network`).
    """
    decoder = card.preprocessing.decoder
    if decoder not in DECODERS:
        known = " and ".join(DECODERS)
        raise damaged(f"it was trained with the decoder {decoder}, this service has {known}")
    found = genome_hash(card.genome)
    if found != card.genome_hash:
        raise damaged(f"its genome has the hash {found}, the card says {card.genome_hash}")
    height, width, channels = card.preprocessing.shape
    if min(height, width) < 1 or channels not in (1, 3):
        raise damaged(
            f"expected (height, width, 1 or 3), the card says {(height, width, channels)}"
        )
    if height * width * channels > _MOST_VALUES or len(card.categories) > _MOST_CATEGORIES:
        raise damaged(
            f"expected at most {_MOST_VALUES:,} values and {_MOST_CATEGORIES:,} categories, "
            f"the card says {(height, width, channels)} and {len(card.categories):,}"
        )
    if len({category.id for category in card.categories}) != len(card.categories):
        raise damaged("two of its categories have the same id")


def damaged(what: str) -> InvalidInputError:
    """Return the error that refuses a network, ready to raise."""
    return InvalidInputError(f"this network cannot be used: {what}", kind="damaged-network")


def _warm_up(predictor: Predictor, card: NetworkCard) -> None:
    # Black and white, two at once: catches NaN that only one of them shows, and a fixed batch.
    black = np.zeros((1, *card.preprocessing.shape), np.float32)
    images = np.concatenate([black, black + 255.0])
    for _ in range(_WARM_UP_RUNS):
        answers = predictor.predict(images)
        predictor.predict(black)
    expected = (len(images), len(card.categories))
    if answers.shape != expected:
        raise damaged(f"two images gave the shape {answers.shape}, the card says {expected}")
    sums = answers.sum(axis=1)
    # Written so that NaN fails it too.
    if not (np.all(answers >= 0.0) and np.all(np.abs(sums - 1.0) <= _SUM_TOLERANCE)):
        raise damaged(f"it does not give probabilities: two images gave the sums {sums.tolist()}")
