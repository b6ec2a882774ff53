"""What a run leaves in the blobs: the weights of its best, and nothing else for long."""

import logging
from collections.abc import Iterable, Sequence

from commons.errors import DiceboxError
from commons.messages import Evaluation, Individual, RunRequest
from evolver.crew import Crew, blob_folders
from evolver.journal import FINAL_RUNG, fitness_of, trained
from evolver.ports import BlobKind
from evolver.rungs import finished
from evolver.search import Search, member_of, order_of, parents, spared, within
from evolver.selection import Member

# Whoever is not in the best half of a rung will hardly ever be in its best third. One who is
# nevertheless starts afresh.
_CLIMBERS_SHARE = 0.5
_LEAST_CLIMBERS = 4
_LOG = logging.getLogger(__name__)


class Keeper:
    """Deletes what nobody will need, while the run goes on and at its end.

    A blob goes first and the journal says so afterwards: a crash in between is repaired by the
    next look. What cannot be deleted now is tried again then.

    Args:
        crew: Has the individuals, the journal and the blobs.
        request: Says of how many of the best the weights stay, and who may be among them.
    """

    def __init__(self, crew: Crew, request: RunRequest) -> None:
        self._crew = crew
        self._request = request

    def clear(self, search: Search, finalists: Sequence[Member]) -> None:
        """Delete what neither the search nor a later look at the best will need.

        Args:
            search: As it stands.
            finalists: Who would be trained longer if it ended now, the first first.

        Raises:
            DiceboxError: The tables failed, or the run is in other hands.
        """
        weights = self._best_weights(search) | self._best_of(self._not_measured_yet(search))
        self._keep(weights | self._beginnings(search, finalists), self._climbers(search))

    def clear_all(self, search: Search) -> None:
        """Delete all but the best weights, also what no journal knows of; errors as above."""
        self._keep(self._best_weights(search), set())
        for kind in blob_folders(self._crew.run):
            try:
                # A worker that was killed may have left what it never told anybody about.
                for name in list(self._crew.blobs.names(kind)):
                    if not kind.startswith("weights/") or not self._crew.journal.users_of(name):
                        self._delete(name)
            except DiceboxError as error:
                _LOG.warning("run %s: some of %s may stay: %s", self._crew.run, kind, error)

    def _keep(self, weights: set[str], checkpoints: set[tuple[int, str]]) -> None:
        """Delete all weights but these, and all checkpoints but those of these trainings."""
        under_way = {training.number for training in self._crew.under_way}
        for individual in [self._crew.individuals[each] for each in sorted(self._crew.holding)]:
            for known in individual.evaluations:
                gone: list[BlobKind] = []
                if known.weights is not None and known.weights not in weights:
                    gone += ["weights"] * self._forget_weights(known.weights)
                here = (individual.number, known.rung)
                wanted = here in checkpoints or individual.number in under_way
                if known.checkpoint is not None and not wanted:
                    gone += ["checkpoint"] * self._delete(known.checkpoint)
                if gone:
                    self._crew.forget(individual.number, known.rung, gone)

    def _best_weights(self, search: Search) -> set[str]:
        """Return the weights of the best that may be published."""
        request = self._request
        able = within(self._held(search), request.max_latency_us, request.max_parameters)
        return self._best_of(able)

    def _best_of(self, members: Iterable[Member]) -> set[str]:
        individuals = self._crew.individuals
        best_of_each: dict[int, str] = {}
        for found in trained(individuals[member.number] for member in members):
            best_of_each.setdefault(found.number, found.weights)
        return set(list(best_of_each.values())[: self._request.keep_weights])

    def _not_measured_yet(self, search: Search) -> list[Member]:
        """Return who may turn out to be fast enough, where that counts."""
        if self._request.max_latency_us is None:
            return []
        return [member for member in self._held(search) if member.latency_us is None]

    def _held(self, search: Search) -> list[Member]:
        """Return who has weights or checkpoints, oldest first: nobody else's can be kept."""
        return [member_of(search, number) for number in sorted(self._crew.holding)]

    def _beginnings(self, search: Search, finalists: Sequence[Member]) -> set[str]:
        """Return the weights that others start from: children, and the trainings at the end.

        Parents are those who live, or have a child now.
        """
        individuals = self._crew.individuals
        wanted: set[int] = set()
        if search.inheritance:
            wanted |= {member.number for member in parents(search)}
            wanted |= {training.evaluation.inherited or 0 for training in self._crew.under_way}
        if self._request.fidelity.warm_final:
            most = max(self._request.keep_weights, self._crew.engine.capacity())
            wanted |= {member.number for member in finalists[:most]}
        return {
            known.weights
            for number in wanted & individuals.keys()
            for known in _searched(individuals[number])
            if known.weights is not None
        }

    def _climbers(self, search: Search) -> set[tuple[int, str]]:
        """Return the trainings that somebody may go on from."""
        kept: set[tuple[int, str]] = set()
        best_first = order_of(search)
        always = {member.number for member in spared(search)}
        for rung in range(1, search.rungs):
            order = best_first(finished(search.members, rung), rung)
            share = max(_LEAST_CLIMBERS, round(_CLIMBERS_SHARE * len(order)))
            kept |= {
                (member.number, str(rung))
                for place, member in enumerate(order)
                if len(member.results) == rung and (place < share or member.number in always)
            }
        return kept

    def _forget_weights(self, name: str) -> bool:
        """Delete weights, unless another training has the same; say whether to forget them."""
        return self._crew.journal.users_of(name) > 1 or self._delete(name)

    def _delete(self, name: str) -> bool:
        try:
            self._crew.blobs.delete(name)
        except DiceboxError as error:
            _LOG.warning("run %s: %s stays for now: %s", self._crew.run, name, error)
            return False
        return True


def _searched(individual: Individual) -> Iterable[Evaluation]:
    """Return the trainings of an individual that ended well, final ones left out."""
    return [
        known
        for known in individual.evaluations
        if known.rung != FINAL_RUNG and not fitness_of(known).failed
    ]
