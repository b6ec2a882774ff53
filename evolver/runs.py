"""What people do with runs: start, look, stop."""

from collections.abc import Callable, Sequence

from commons.errors import NotFoundError
from commons.messages import Discarded, Individual, Run, RunProgress, RunRequest
from commons.ports import Blobs, Clock
from evolver.crew import blob_folders
from evolver.journal import best_within, front_of, lineage
from evolver.ports import Journal, RunTable
from evolver.preparation import genomes_of
from evolver.taxonomy import taxonomy_from_value

_LISTED = 200
ENDED = frozenset({"complete", "failed", "stopped", "interrupted"})


class Runs:
    """The use cases of the API; the runner does the work.

    Args:
        table: The runs.
        journal: Their individuals.
        clock: Says when a run was asked for.
        new_id: Returns an id that no run has.
        is_dead: Says of a runner by its name that it is known to have ended.
        blobs: Where trainings leave what others go on from.
    """

    def __init__(
        self,
        table: RunTable,
        journal: Journal,
        clock: Clock,
        new_id: Callable[[], str],
        is_dead: Callable[[str], bool],
        blobs: Blobs,
    ) -> None:
        self._table = table
        self._journal = journal
        self._clock = clock
        self._new_id = new_id
        self._is_dead = is_dead
        self._blobs = blobs

    def start(self, request: RunRequest) -> Run:
        """Return a new run, queued for the next runner that is free.

        Raises:
            InvalidInputError: The taxonomy, or a genome to start with, is wrong.
        """
        taxonomy_from_value(request.taxonomy)
        genomes_of(request)
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

    def individuals(
        self, run: str, after: int = 0, limit: int | None = None, *, histories: bool = False
    ) -> list[Individual]:
        """Return the individuals of a run with a number above `after`, oldest first.

        All of them, or the first `limit`.

        Raises:
            NotFoundError: There is no such run.
        """
        self._table.get(run)
        return self._journal.individuals(run, after, limit, histories=histories)

    def lineage(self, run: str, number: int) -> list[Individual]:
        """Return an individual and all its ancestors, the oldest first.

        Raises:
            NotFoundError: There is no such run, or no such individual in it.
        """
        found = lineage(self.individuals(run, histories=True), number)
        if not found:
            raise NotFoundError(f"run {run} has no individual {number}")
        return found

    def front(self, run: str) -> list[Individual]:
        """Return the individuals that no other beats in all objectives, the best first.

        Raises:
            NotFoundError: There is no such run.
        """
        return front_of(self._table.get(run).request.objectives, self._journal.individuals(run))

    def champion(
        self, run: str, max_latency_us: float | None = None, max_parameters: int | None = None
    ) -> Individual:
        """Return the best individual so far, or at the end; with limits that of the cheap ones.

        Raises:
            NotFoundError: There is no such run, nothing was trained in it yet, or all that was
                costs more.
        """
        if max_latency_us is None and max_parameters is None:
            return self._best(run)
        self._table.get(run)
        individuals = self._journal.individuals(run)
        found = best_within(individuals, max_latency_us, max_parameters)
        if found is None:
            raise NotFoundError(_too_dear(run, individuals, max_latency_us, max_parameters))
        return self._journal.individuals(run, found.number - 1, histories=True)[0]

    def _best(self, run: str) -> Individual:
        number = self.get(run).progress.best_individual
        found = self.individuals(run, number - 1, histories=True) if number else []
        if not found or found[0].number != number:
            raise NotFoundError(f"run {run} has no champion: nothing was trained yet")
        return found[0]

    def resume(self, run: str) -> Run:
        """Queue a run again that its runner left before its end; it goes on where it was.

        Raises:
            NotFoundError: There is none of this id.
            ConflictError: It has ended, or a runner drives it.
        """
        return self._table.resume(run, self._is_dead)

    def stop(self, run: str) -> Run:
        """Ask a run to end early with the best it has; one that has ended stays as it is.

        Raises:
            NotFoundError: There is none of this id.
        """
        return self._table.request_stop(run)

    def discard(self, run: str) -> Discarded:
        """Delete what a run that has ended keeps in the blobs, and say how much that was.

        Its journal and its published network stay. One that was interrupted or failed cannot be
        resumed any more. What was left over when this was cut off is deleted by the next call.

        Raises:
            NotFoundError: There is none of this id.
            ConflictError: It is queued or running.
        """
        self._table.give_up(run, "given up: what it had trained was discarded")
        self._journal.forget_all_blobs(run)
        deleted = 0
        for kind in blob_folders(run):
            for name in list(self._blobs.names(kind)):
                # Another run may have taken a training over, weights and all.
                if not kind.startswith("weights/") or not self._journal.users_of(name):
                    deleted += self._blobs.delete(name)
        return Discarded(run=run, blobs=deleted)


def _too_dear(
    run: str,
    individuals: Sequence[Individual],
    max_latency_us: float | None,
    max_parameters: int | None,
) -> str:
    trained = [each for each in individuals if each.accuracy is not None]
    limits = []
    if max_parameters is not None:
        least = min((each.parameters for each in trained), default=None)
        has = "" if least is None else f" (the smallest has {least:,})"
        limits.append(f"at most {max_parameters:,} parameters{has}")
    if max_latency_us is not None:
        known = [each.latency_us for each in trained if each.latency_us is not None]
        has = f"the fastest takes {min(known):g}" if known else "none was measured in this run"
        limits.append(f"answers in at most {max_latency_us:g} µs ({has})")
    return f"no network that was trained in the run {run} has {' and '.join(limits)}"
