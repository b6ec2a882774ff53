"""How far a training of the stand-alone trainer is, in files that survive its process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from commons.errors import ConflictError
from commons.network_card import NetworkCard
from commons.training import TrainResult
from trainer.durable import write_durably


class Milestones(BaseModel):
    """What of a training is done: trained, then exported. Checkpoints are on the way there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trained: TrainResult | None = None
    card: NetworkCard | None = None


class MilestoneFile:
    """The milestones of one training, by its id, in a folder of this machine."""

    def __init__(self, folder: Path, training: str) -> None:
        self._file = folder / f"{training}.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep everybody else away from this training; the system does so until we end.

        Raises:
            ConflictError: Somebody else is at it.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._file.with_suffix(".lock"), timeout=0.5):
                yield
        except Timeout as error:
            raise ConflictError(
                "another trainer is at this very training in this folder already: "
                "wait for it, or choose another seed or folder"
            ) from error

    def read(self) -> Milestones:
        """Return how far the training is."""
        try:
            return Milestones.model_validate_json(self._file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return Milestones()

    def write(self, milestones: Milestones) -> None:
        """Replace what was written before."""
        write_durably(self._file, milestones.model_dump_json())

    def forget(self) -> None:
        """Take the file away."""
        self._file.unlink(missing_ok=True)
