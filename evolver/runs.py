"""What people do with runs: start, look, stop."""

from collections.abc import Callable

from commons.messages import Individual, Run, RunProgress, RunRequest
from commons.ports import Clock
from evolver.ports import Journal, RunTable
from evolver.taxonomy import taxonomy_from_value

_LISTED = 200


class Runs:
    """The use cases of the API; the runner does the work.

    Args:
        table: The runs.
        journal: Their individuals.
        clock: Says when a run was asked for.
        new_id: Returns an id that no run has.
    """

    def __init__(
        self, table: RunTable, journal: Journal, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._table = table
        self._journal = journal
        self._clock = clock
        self._new_id = new_id

    def start(self, request: RunRequest) -> Run:
        """Return a new run, queued for the next runner that is free.

        Raises:
            InvalidInputError: The taxonomy is wrong.
        """
        taxonomy_from_value(request.taxonomy)
        run = Run(
            id=self._new_id(),
            state="queued",
            request=request,
            snapshot=request.snapshot,
            shape=request.shape,
            created=self._clock.now(),
            progress=RunProgress(seconds_left=request.seconds),
        )
        self._table.add(run)
        return run

    def newest(self) -> list[Run]:
        """Return the latest 200 runs, newest first."""
        return self._table.newest(_LISTED)

    def get(self, run: str) -> Run:
        """Return a run.

        Raises:
            NotFoundError: There is none of this id.
        """
        return self._table.get(run)

    def individuals(self, run: str, after: int) -> list[Individual]:
        """Return the individuals of a run with a number above `after`, oldest first.

        Raises:
            NotFoundError: There is no such run.
        """
        self._table.get(run)
        return self._journal.individuals(run, after)

    def stop(self, run: str) -> Run:
        """Ask a run to end early with the best it has; one that has ended stays as it is.

        Raises:
            NotFoundError: There is none of this id.
        """
        return self._table.request_stop(run)

    def missing(self) -> dict[str, str]:
        """Return what keeps the service from working; empty when nothing does."""
        self._table.newest(1)
        return {}
