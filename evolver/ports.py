"""What the evolver needs from its tables and its two neighbours."""

from typing import Protocol

from commons.messages import Champion, Evaluation, FreezeRequest, Individual, Run, Snapshot
from commons.network_card import NetworkCard


class RunTable(Protocol):
    """The runs, as those who ask for them see them.

    Any method raises `UnavailableError` while the tables cannot be reached, and
    `StorageFullError` when a change finds no space.
    """

    def add(self, run: Run) -> None:
        """Store a queued run."""
        ...

    def get(self, run: str) -> Run:
        """Return a run.

        Raises:
            NotFoundError: There is none of this id.
        """
        ...

    def newest(self, limit: int) -> list[Run]:
        """Return the latest runs, newest first."""
        ...

    def request_stop(self, run: str) -> Run:
        """Ask a run to end early; one that is still queued is stopped at once.

        A run that has ended stays as it is.

        Raises:
            NotFoundError: There is none of this id.
        """
        ...


class RunLedger(Protocol):
    """The runs, as the one runner that drives them sees them; errors as in `RunTable`."""

    def claim(self, runner: str) -> Run | None:
        """Make the oldest queued run `running` in this runner's hands and return it."""
        ...

    def save(self, run: Run, runner: str) -> None:
        """Store how far a run is.

        Raises:
            ConflictError: The run is no longer in this runner's hands.
        """
        ...

    def stop_requested(self, run: str) -> bool:
        """Say whether somebody asked this run to end early."""
        ...

    def interrupt_abandoned(self, reason: str) -> list[str]:
        """Mark every running run `interrupted`, take it from its runner and return the ids."""
        ...


class Journal(Protocol):
    """The individuals of all runs, written before their training is submitted.

    Errors as in `RunTable`.
    """

    def add_individual(self, run: str, individual: Individual) -> None:
        """Store an individual with its evaluations, all of them or nothing.

        Raises:
            ConflictError: The run has this number or this genome already.
        """
        ...

    def put_evaluation(self, run: str, number: int, evaluation: Evaluation) -> None:
        """Store what is known of one rung of an individual, in place of what was known."""
        ...

    def individuals(self, run: str, after: int = 0) -> list[Individual]:
        """Return the individuals of a run with a number above `after`, oldest first."""
        ...


class Sensory(Protocol):
    """The sensory service; any method may raise a `DiceboxError` that says why not."""

    def freeze(self, dataset: str, request: FreezeRequest) -> Snapshot:
        """Return a snapshot of what is labeled now."""
        ...

    def snapshot(self, snapshot: str) -> Snapshot:
        """Return a frozen snapshot."""
        ...


class Gallery(Protocol):
    """The classification service; any method may raise a `DiceboxError` that says why not."""

    def register(self, card: NetworkCard) -> str:
        """Register a network whose files are in the blobs and return its id."""
        ...

    def promote(self, dataset: str, network: str) -> Champion:
        """Make a registered network the one that answers for a dataset."""
        ...
