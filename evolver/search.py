"""The search as a value: `ask` what to train next, `born` and `told` what happened.

It holds no random state: the n-th proposal draws from a generator seeded by (seed, n), so the
search of a run is what folding over its journal gives, at any moment and on any machine.

`evolution` is asynchronous steady-state aging evolution: seeds first, then mutations and a few
crossovers of tournament winners among the youngest, and always some fresh genomes. `random` is
the baseline: random genomes only, without seeds.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.random import Generator

from commons.genome import Genome, genome_hash
from evolver.limits import Problem, repair
from evolver.operators import Child, create, cross, mutate
from evolver.seeds import seed_genomes
from evolver.selection import Fitness, Member, population, ranked, tournament
from evolver.taxonomy import Taxonomy

# While the population still grows, fresh blood is worth more than later.
_RANDOM_SHARE = {"growing": 0.2, "grown": 0.05}
_CROSSOVER_SHARE = 0.15
_TOURNAMENT_SHARE = 0.3
_MOST_TRIES = 100


@dataclass(frozen=True)
class Proposal:
    """A genome that was never proposed before, and where it comes from."""

    genome: Genome
    operator: str
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Search:
    """All that the next proposal depends on."""

    taxonomy: Taxonomy
    problem: Problem
    seed: int
    size: int
    strategy: Literal["evolution", "random"] = "evolution"
    seeds: tuple[Genome, ...] = ()
    members: tuple[Member, ...] = ()
    hashes: frozenset[str] = field(default=frozenset(), repr=False)


def start_search(
    taxonomy: Taxonomy,
    problem: Problem,
    *,
    seed: int,
    size: int,
    strategy: Literal["evolution", "random"] = "evolution",
) -> Search:
    """Return a search that has proposed nothing yet; `size` is that of the population.

    Raises:
        InvalidInputError: The taxonomy allows no network for this problem.
    """
    seeds = tuple(repair(genome, taxonomy, problem) for genome in seed_genomes(problem.shape))
    return Search(taxonomy, problem, seed, size, strategy, seeds if strategy == "evolution" else ())


def ask(search: Search) -> Proposal | None:
    """Return a new genome to train, or None if the space seems to hold no other."""
    for genome in search.seeds:
        if genome_hash(genome) not in search.hashes:
            return Proposal(genome, "seed")
    rng = np.random.default_rng([search.seed, len(search.members)])
    for _ in range(_MOST_TRIES):
        proposal = _propose(rng, search)
        if genome_hash(proposal.genome) not in search.hashes:
            return proposal
    return None


def born(search: Search, number: int, genome: Genome) -> Search:
    """Return the search that knows a genome is being trained; numbers must rise."""
    member = Member(number, genome, genome_hash(genome))
    return replace(
        search,
        members=(*search.members, member),
        hashes=search.hashes | {member.genome_hash},
    )


def told(search: Search, number: int, fitness: Fitness) -> Search:
    """Return the search that knows how a genome did (`FAILED` for one that failed)."""
    members = tuple(
        replace(member, fitness=fitness) if member.number == number else member
        for member in search.members
    )
    return replace(search, members=members)


def best(search: Search) -> Member | None:
    """Return the fittest member, dead ones too, or None before any was trained."""
    first = next(iter(ranked(search.members)), None)
    return first if first and first.fitness and not first.fitness.failed else None


def _propose(rng: Generator, search: Search) -> Proposal:
    living = population(search.members, search.size)
    phase = "grown" if len(living) >= search.size else "growing"
    if search.strategy == "random" or not living or rng.random() < _RANDOM_SHARE[phase]:
        return _fresh(rng, search)
    size = max(2, round(len(living) * _TOURNAMENT_SHARE))
    mother = tournament(rng, living, size)
    if len(living) > 1 and rng.random() < _CROSSOVER_SHARE:
        others = [member for member in living if member is not mother]
        father = tournament(rng, others, size)
        child = cross(rng, mother.genome, father.genome, search.taxonomy, search.problem)
        return Proposal(child.genome, child.operator, (mother.number, father.number))
    mutant = mutate(rng, mother.genome, search.taxonomy, search.problem)
    return _born_of(mutant, mother) if mutant else _fresh(rng, search)


def _born_of(child: Child, mother: Member) -> Proposal:
    return Proposal(child.genome, child.operator, (mother.number,))


def _fresh(rng: Generator, search: Search) -> Proposal:
    child = create(rng, search.taxonomy, search.problem)
    return Proposal(child.genome, child.operator)
