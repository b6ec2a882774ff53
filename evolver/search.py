"""The search as a value: `ask` what to train next; `born`, `climbs` and `told` what happened.

It holds no random state: the n-th birth draws from a generator seeded by (seed, n), so the
search of a run is what folding over its journal gives, at any moment and on any machine.

`evolution` is asynchronous steady-state aging evolution: seeds first, then mutations and a few
crossovers of tournament winners among the youngest, and always some fresh genomes. With several
objectives NSGA-II decides who lives and who becomes a parent. `random` is the baseline: random
genomes only. `generational` is the classic (`evolver.generational`). `seeds` trains the seeds
and nothing else. With rungs the best of all of them are trained further (`evolver.rungs`).
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from commons.genome import Genome
from commons.inheritance import kept_share
from commons.messages import Generational, Objective, Strategy
from commons.shapes import infer_shape
from evolver.generational import Generation, breed, generation, pair
from evolver.limits import Problem, repair
from evolver.operators import create, cross, mutate
from evolver.pareto import (
    affordable,
    binary_tournament,
    by_objectives,
    by_objectives_at,
    choose,
    front,
    within,
)
from evolver.rungs import Climb, Order, by_accuracy, next_climb
from evolver.sameness import network_key
from evolver.seeds import large_seed_genomes, seed_genomes
from evolver.selection import (
    FAILED,
    Fitness,
    Member,
    age,
    exchanged,
    standing,
    tournament,
)
from evolver.taxonomy import Taxonomy

__all__ = [
    "FAILED",
    "Birth",
    "Climb",
    "Fitness",
    "Search",
    "able",
    "ask",
    "best",
    "born",
    "choose",
    "climbs",
    "front",
    "member_of",
    "order_of",
    "parents",
    "searching",
    "spared",
    "start_search",
    "timed",
    "told",
    "waiting",
    "within",
]

# While the population still grows, fresh blood is worth more than later.
_RANDOM_SHARE = {"growing": 0.2, "grown": 0.05}
_CROSSOVER_SHARE = 0.15
_TOURNAMENT_SHARE = 0.4
_MOST_TRIES = 100
# So many of the seeds, the surest, are trained to the highest rung. One is a seventh of a search.
_SPARED = 1


class Birth(NamedTuple):
    """A genome that was never proposed before, and where it comes from.

    `inherit_from` is the parent whose weights it may start from: the one it is nearest to.
    """

    genome: Genome
    operator: str
    parents: tuple[int, ...] = ()
    inherit_from: int | None = None


@dataclass(frozen=True)
class Search:
    """All that the next decision depends on.

    `trained` are the evaluated members, oldest first, and `ranking` the same, best first: both are
    kept up to date, so that a long run does not look through all its members at every event.
    """

    taxonomy: Taxonomy
    problem: Problem
    seed: int
    size: int
    strategy: Strategy = "evolution"
    rungs: int = 1
    objectives: tuple[Objective, ...] = ("accuracy",)
    generational: Generational = field(default_factory=Generational)
    inheritance: bool = True
    seeds: tuple[Genome, ...] = ()
    members: tuple[Member, ...] = ()
    trained: tuple[Member, ...] = field(default=(), repr=False)
    ranking: tuple[Member, ...] = field(default=(), repr=False)
    keys: frozenset[str] = field(default=frozenset(), repr=False)


def start_search(
    taxonomy: Taxonomy,
    problem: Problem,
    *,
    seed: int,
    size: int,
    strategy: Strategy = "evolution",
    rungs: int = 1,
    objectives: Sequence[Objective] = ("accuracy",),
    generational: Generational | None = None,
    inheritance: bool = True,
    start: Sequence[Genome] | None = None,
) -> Search:
    """Return a search that has proposed nothing yet.

    Args:
        taxonomy: The search space.
        problem: What the networks must solve.
        seed: Decides all that is drawn.
        size: Of the population.
        strategy: `evolution`, `random`, `generational` or `seeds`.
        rungs: How many there are; 1 is one training each.
        objectives: What a member is to be good at.
        generational: The rule of the strategy of that name.
        inheritance: Whether children may start from a parent's weights.
        start: Genomes that are born first, made to fit; None: the strategy's own, which are the
            seeds for `evolution` and `seeds` and none for the others.

    Raises:
        InvalidInputError: The taxonomy allows no network for this problem.
    """
    if start is None:
        start = _own_start(taxonomy, problem) if strategy in ("evolution", "seeds") else ()
    fitting = [repair(genome, taxonomy, problem) for genome in start]
    if not fitting:  # else the first birth would say that nothing fits, and the run had begun
        create(np.random.default_rng(seed), taxonomy, problem)
    return Search(
        taxonomy,
        problem,
        seed,
        size,
        strategy,
        rungs=rungs,
        objectives=tuple(objectives),
        generational=generational or Generational(),
        inheritance=inheritance,
        seeds=tuple({network_key(genome, problem): genome for genome in fitting}.values()),
    )


def ask(search: Search) -> Birth | Climb | None:
    """Return what to train next; None if there is nothing, or nothing yet (see `waiting`)."""
    climb = next_climb(search.members, search.rungs, order_of(search), len(spared(search)))
    if climb is not None:
        return climb
    for genome in search.seeds[len(search.members) :]:
        if network_key(genome, search.problem) not in search.keys:
            return Birth(genome, "seed")
    if search.strategy == "seeds":
        return None
    if search.strategy == "generational":
        return _ask_generational(search)
    rng = np.random.default_rng([search.seed, len(search.members)])
    living = parents(search)
    return _first_new(search, lambda: _propose(rng, search, living))


def waiting(search: Search) -> bool:
    """Say whether `ask` has nothing now but may have something after the next result."""
    return searching(search) and ask(search) is None


def searching(search: Search) -> bool:
    """Say whether any member is being trained."""
    # The youngest are.
    return any(member.under_way for member in reversed(search.members))


def born(search: Search, number: int, birth: Birth | Genome) -> Search:
    """Return the search that knows a genome is being trained; numbers must rise."""
    genome = birth.genome if isinstance(birth, Birth) else birth
    network = infer_shape(genome, search.problem.shape, search.problem.categories)
    member = Member(number, genome, network_key(genome, search.problem), network.parameters)
    return replace(search, members=(*search.members, member), keys=search.keys | {member.key})


def climbs(search: Search, number: int, rung: int) -> Search:
    """Return the search that knows a member is being trained further, up to `rung`."""
    return _changed(
        search, number, lambda member: replace(member, results=(*member.results[: rung - 1], None))
    )


def told(search: Search, number: int, rung: int, fitness: Fitness) -> Search:
    """Return the search that knows what came of a rung (`FAILED` for a training that failed)."""
    known = fitness if fitness.failed else fitness._replace(rung=rung)
    return _changed(search, number, lambda member: member.with_result(rung, known))


def timed(search: Search, number: int, latency_us: float) -> Search:
    """Return the search that knows how long a member's network takes for one image."""
    return _changed(search, number, lambda member: replace(member, latency_us=latency_us))


def best(search: Search) -> Member | None:
    """Return the fittest member, dead ones too, or None before any was trained."""
    return next(iter(search.ranking), None)


def able(search: Search, max_latency_us: float | None, max_parameters: int | None) -> list[Member]:
    """Return the evaluated members that cost no more than that, best first, as `within` does."""
    return affordable(search.ranking, max_latency_us, max_parameters)


def member_of(search: Search, number: int) -> Member:
    """Return the member with a number."""
    return search.members[_place_of(search, number)]


def spared(search: Search) -> tuple[Member, ...]:
    """Return the members that are trained to the highest rung whatever the others do."""
    return search.members[: min(_SPARED, len(search.seeds))]


def _own_start(taxonomy: Taxonomy, problem: Problem) -> list[Genome]:
    large = large_seed_genomes(problem.shape)
    fitting = [genome for genome in large if repair(genome, taxonomy, problem) == genome]
    return [*fitting, *seed_genomes(problem.shape)]


def _changed(search: Search, number: int, change: Callable[[Member], Member]) -> Search:
    place = _place_of(search, number)
    before = search.members[place]
    after = change(before)
    return replace(
        search,
        members=(*search.members[:place], after, *search.members[place + 1 :]),
        trained=exchanged(search.trained, before, after, age),
        ranking=exchanged(search.ranking, before, after, standing),
    )


def _place_of(search: Search, number: int) -> int:
    return bisect_left(search.members, number, key=lambda member: member.number)


def order_of(search: Search) -> Order:
    """Return how members that finished a rung are put in order, the best first."""
    if len(search.objectives) > 1:
        return lambda members, rung: by_objectives_at(members, rung, search.objectives)
    return by_accuracy


def _first_new(search: Search, propose: Callable[[], Birth]) -> Birth | None:
    """Return the first proposal that no earlier one builds the network of."""
    for _ in range(_MOST_TRIES):
        birth = propose()
        if network_key(birth.genome, search.problem) not in search.keys:
            return birth if search.inheritance else birth._replace(inherit_from=None)
    return None


def parents(search: Search) -> list[Member]:
    """Return who lives: the youngest, or with several objectives the best, best first.

    Source: that the oldest die is regularized evolution, Real et al. 2018 (arXiv 1802.01548),
    section 3.
    """
    if len(search.objectives) == 1:
        return list(search.trained[-search.size :])
    return by_objectives(search.trained, search.objectives)[: search.size]


def _propose(rng: Generator, search: Search, living: Sequence[Member]) -> Birth:
    phase = "grown" if len(living) >= search.size else "growing"
    if search.strategy == "random" or not living or rng.random() < _RANDOM_SHARE[phase]:
        return _fresh(rng, search)
    mother = _parent(rng, search, living)
    if len(living) > 1 and rng.random() < _CROSSOVER_SHARE:
        father = _parent(rng, search, [member for member in living if member is not mother])
        child = cross(rng, mother.genome, father.genome, search.taxonomy, search.problem)
        return _child_of(search, mother, father, child.genome)
    mutant = mutate(rng, mother.genome, search.taxonomy, search.problem)
    if mutant is None:
        return _fresh(rng, search)
    return Birth(mutant.genome, mutant.operator, (mother.number,), mother.number)


def _parent(rng: Generator, search: Search, living: Sequence[Member]) -> Member:
    if len(search.objectives) > 1:
        return binary_tournament(rng, living)
    return tournament(rng, living, max(2, round(len(living) * _TOURNAMENT_SHARE)))


def _fresh(rng: Generator, search: Search) -> Birth:
    child = create(rng, search.taxonomy, search.problem)
    return Birth(child.genome, child.operator)


def _ask_generational(search: Search) -> Birth | None:
    """Return the next child of the present generation, None if it waits for its results."""
    present = generation(search.members, search.size, search.generational, search.seed)
    if present.full:
        return None
    rng = np.random.default_rng([search.seed, len(search.members)])
    return _first_new(search, lambda: _child(rng, search, present))


def _child(rng: Generator, search: Search, present: Generation) -> Birth:
    """Return a child of two that live on, or a random genome in the first generation."""
    # Two children a pair: both draw their parents from the same generator.
    of_pair = np.random.default_rng([search.seed, present.turn, 1 + len(present.born) // 2])
    parents = pair(of_pair, present.parents)
    if parents is None:
        return _fresh(rng, search)
    mother, father = parents
    chance = search.generational.mutate_chance
    genome = breed(rng, mother.genome, father.genome, search.taxonomy, search.problem, chance)
    return _child_of(search, mother, father, genome)


def _child_of(search: Search, mother: Member, father: Member, genome: Genome) -> Birth:
    problem = search.problem
    nearest = max(
        (mother, father),
        key=lambda parent: kept_share(parent.genome, genome, problem.shape, problem.categories),
    )
    return Birth(genome, "crossover", (mother.number, father.number), nearest.number)
