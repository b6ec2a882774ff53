"""Where a training stands, as a value, as bytes without pickle, and as blobs."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from commons.errors import NotFoundError
from commons.ports import Blobs
from commons.training import TrainProgress

Arrays = tuple[npt.NDArray[Any], ...]
# What numpy and JSON raise at bytes that are no checkpoint, or one of another version.
_UNREADABLE = (BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """All that decides how a training goes on.

    `training` names what is trained (`commons.training.training_id`). `epochs` were trained
    whole, and `steps` of the next one. `epoch_rng` is the state of numpy's generator when that
    epoch began, `rng` the present one. `network` are all variables of the network with the
    states of its seed generators, `optimizer` those of the optimizer, as Keras lists them.
    """

    training: str
    epochs: int
    steps: int
    seconds: float
    history: tuple[TrainProgress, ...]
    epoch_rng: dict[str, Any]
    rng: dict[str, Any]
    network: Arrays
    optimizer: Arrays

    def to_bytes(self) -> bytes:
        """Return the checkpoint as an `.npz` file."""
        facts = {
            "training": self.training,
            "epochs": self.epochs,
            "steps": self.steps,
            "seconds": self.seconds,
            "history": [progress.model_dump() for progress in self.history],
            "epoch_rng": self.epoch_rng,
            "rng": self.rng,
        }
        arrays = {f"network-{number}": array for number, array in enumerate(self.network)}
        arrays |= {f"optimizer-{number}": array for number, array in enumerate(self.optimizer)}
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        """Return the checkpoint in an `.npz` file.

        Raises:
            ValueError: The bytes are no checkpoint.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                facts = json.loads(file["facts"].tobytes())
                history = tuple(map(TrainProgress.model_validate, facts.pop("history")))
                return cls(
                    **facts,
                    history=history,
                    network=tuple(_numbered(file, "network")),
                    optimizer=tuple(_numbered(file, "optimizer")),
                )
        except _UNREADABLE as error:
            raise ValueError(f"this is no checkpoint: {error}") from error


class Checkpoints:
    """The checkpoints of one training in the blobs; all but the newest are deleted.

    A blob is whole or absent, and the one before it goes only when the new one is durable: a
    crash or a full disk at any moment leaves one that is whole.

    Args:
        blobs: A folder of this machine, or what all machines share.
        word: Under which they are kept, `checkpoints/<word>/`; other trainings have others.
        training: What is trained; a checkpoint of anything else under the word is not used.
    """

    def __init__(self, blobs: Blobs, word: str, training: str) -> None:
        self.training = training
        self._blobs = blobs
        self._prefix = f"checkpoints/{word}/"

    def latest(self) -> Checkpoint | None:
        """Return the newest one that can be used; those that cannot are deleted."""
        for name in reversed(self._names()):
            checkpoint = self._read(name)
            if checkpoint is not None:
                return checkpoint
            self._blobs.delete(name)
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint instead of those before it.

        Raises:
            StorageFullError: No space is left; the one before is still there.
        """
        name = f"{self._prefix}{checkpoint.epochs:08d}-{checkpoint.steps:08d}.npz"
        before = self._names()
        self._blobs.put(name, checkpoint.to_bytes())
        for other in before:
            if other != name:
                self._blobs.delete(other)

    def forget(self) -> None:
        """Delete all of them."""
        for name in self._names():
            self._blobs.delete(name)

    def epochs(self) -> int | None:
        """Return how many whole epochs the newest one has, without reading it."""
        names = self._names()
        return int(names[-1].removeprefix(self._prefix)[:8]) if names else None

    def _names(self) -> list[str]:
        return sorted(self._blobs.names(self._prefix))

    def _read(self, name: str) -> Checkpoint | None:
        try:
            checkpoint = Checkpoint.from_bytes(self._blobs.get(name))
        except (ValueError, NotFoundError) as error:
            _LOG.warning("the checkpoint %s is not used: %s", name, error)
            return None
        if checkpoint.training != self.training:
            _LOG.warning("the checkpoint %s is not used: it is of another training", name)
            return None
        return checkpoint


def _numbered(file: Any, kind: str) -> Iterator[npt.NDArray[Any]]:
    for number in range(sum(name.startswith(f"{kind}-") for name in file.files)):
        yield file[f"{kind}-{number}"]
