"""What the evolver needs from its tables and its two neighbours."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from commons.messages import (
    Evaluation,
    FreezeRequest,
    Individual,
    Run,
    RunState,
    Snapshot,
)
from commons.network_card import NetworkCard
from commons.trial_messages import Trial, TrialRequest

BlobKind = Literal["weights", "checkpoint"]
# States of a run that nobody ever goes on with.
ENDED_FOR_GOOD: frozenset[RunState] = frozenset(("complete", "stopped"))


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

    def resume(self, run: str, is_dead: Callable[[str], bool]) -> Run:
        """Queue a run again that a runner left before its end; one that is queued stays so.

        Args:
            run: Its id.
            is_dead: Says of a runner by its name that it is known to have ended.

        Raises:
            NotFoundError: There is none of this id.
            ConflictError: It is complete or stopped, or a runner holds it.
        """
        ...

    def give_up(self, run: str, reason: str) -> Run:
        """Make an interrupted or failed run `stopped`, so that nobody goes on with it.

        One that is complete or stopped stays as it is.

        Raises:
            NotFoundError: There is none of this id.
            ConflictError: It is queued or running.
        """
        ...


class RunLedger(Protocol):
    """The runs, as the one runner that drives them sees them; errors as in `RunTable`.

    Who claims a run holds it for some seconds beyond its last `save` or `renew`. Two runners
    never hold the same one.
    """

    def claim(self, runner: str) -> Run | None:
        """Make the oldest queued run `running` in this runner's hands and return it."""
        ...

    def save(self, run: Run, runner: str) -> None:
        """Store how far a run is, and hold it for another while.

        Raises:
            ConflictError: The run is no longer in this runner's hands.
        """
        ...

    def renew(self, run: str, runner: str) -> None:
        """Hold a run for another while.

        Raises:
            ConflictError: The run is no longer in this runner's hands.
        """
        ...

    def stop_requested(self, run: str) -> bool:
        """Say whether somebody asked this run to end early."""
        ...

    def interrupt_abandoned(
        self, reason: str, is_dead: Callable[[str], bool], resumes: int = 0
    ) -> list[str]:
        """Mark the running runs that nobody holds any more `interrupted` and return the ids.

        Args:
            reason: Why they are.
            is_dead: Says of a runner by its name that it is known to have ended: it holds
                nothing.
            resumes: A run that was resumed less often is queued again instead, and so are
                interrupted ones; none of which somebody asked to stop.
        """
        ...


class Journal(Protocol):
    """The individuals of all runs, written before their training is submitted.

    Errors as in `RunTable`. What changes a run raises `ConflictError` where the run is not in
    the hands of the `runner` that is named.
    """

    def add_individual(self, run: str, individual: Individual, runner: str) -> None:
        """Store an individual with its evaluations, all of them or nothing.

        Raises:
            ConflictError: The run has this number or this genome already.
        """
        ...

    def put_evaluation(self, run: str, number: int, evaluation: Evaluation, runner: str) -> None:
        """Store what is known of one rung of an individual, in place of what was known."""
        ...

    def put_latency(self, run: str, number: int, latency_us: float, cpu: str, runner: str) -> None:
        """Store how fast an individual answers, in place of what was known."""
        ...

    def forget_blobs(
        self, run: str, number: int, rung: str, kinds: Sequence[BlobKind], runner: str
    ) -> None:
        """Store that what a training left in the blobs is no longer there."""
        ...

    def forget_all_blobs(self, run: str) -> None:
        """Store that no training of a run has anything in the blobs any more.

        Raises:
            ConflictError: The run has not ended for good: it is not complete or stopped.
        """
        ...

    def individuals(
        self, run: str, after: int = 0, limit: int | None = None, *, histories: bool = False
    ) -> list[Individual]:
        """Return the individuals of a run with a number above `after`, oldest first.

        All of them, or the first `limit`. The histories of their trainings are left out unless
        they are asked for.
        """
        ...

    def same_training(self, key: str) -> Evaluation | None:
        """Return a training of any run that ended well under a key, with its history.

        One that was stopped early is left out: it depends on what others had reached. So is one
        whose weights were cleared away: nobody could inherit from it, and it cannot be published.
        """
        ...

    def users_of(self, weights: str) -> int:
        """Return how many trainings of all runs have these weights."""
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

    def try_out(self, dataset: str, request: TrialRequest) -> Trial:
        """Put a network on trial beside the champion, or promote it where there is none."""
        ...

    def trials(self, dataset: str) -> list[Trial]:
        """Return the trials of a dataset, newest first."""
        ...
