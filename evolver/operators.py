"""Mutation and crossover: genomes in, one new genome out that fits the problem.

All operators take the random generator first, change nothing in place and return genomes that
build: what they draw is repaired to the limits by pure shape inference.
"""

from typing import NamedTuple

from numpy.random import Generator

from commons.genome import Genome, Training
from evolver.genes import GeneType, choose, random_genome
from evolver.limits import Problem, repair
from evolver.mutations import MUTATIONS
from evolver.taxonomy import Taxonomy

_MOST_CHANGES = 3
_ANOTHER_CHANGE = 0.4


class Child(NamedTuple):
    """A new genome and the operators that made it, e.g. `add-layer+change-head`."""

    genome: Genome
    operator: str


def create(rng: Generator, taxonomy: Taxonomy, problem: Problem) -> Child:
    """Return a random genome that fits.

    Raises:
        InvalidInputError: No genome of this taxonomy fits.
    """
    return Child(repair(random_genome(rng, taxonomy), taxonomy, problem), "random")


def mutate(rng: Generator, genome: Genome, taxonomy: Taxonomy, problem: Problem) -> Child | None:
    """Return a genome one to three mutations away that differs from its parent.

    It is None where no mutation of this taxonomy leads anywhere else.
    """
    changed, names = genome, list[str]()
    while len(names) < _MOST_CHANGES:
        child = _mutate_once(rng, changed, taxonomy, problem, parent=genome)
        if child is None:
            break
        changed = child.genome
        names.append(child.operator)
        if rng.random() > _ANOTHER_CHANGE:
            break
    return Child(changed, "+".join(names)) if names else None


def cross(
    rng: Generator, mother: Genome, father: Genome, taxonomy: Taxonomy, problem: Problem
) -> Child:
    """Return a genome with the front of one parent and the back of the other.

    The features are cut at the same share of both depths; every other part, and every field
    of the recipe, comes from either parent. An optimizer keeps its own learning rate.
    """
    share = rng.random()
    front = mother.features[: round(share * len(mother.features))]
    back = father.features[round(share * len(father.features)) :]
    vector = choose(rng, (mother, father))
    child = _either(rng, mother, father).model_copy(
        update={
            "features": (*front, *back)[: taxonomy.features.most],
            "head": vector.head,
            "classifier": vector.classifier,
            "training": _cross_training(rng, mother.training, father.training),
        }
    )
    return Child(repair(child, taxonomy, problem), "crossover")


def _mutate_once(
    rng: Generator, genome: Genome, taxonomy: Taxonomy, problem: Problem, *, parent: Genome
) -> Child | None:
    """Return the genome after the first mutation, in random order, that leads elsewhere."""
    names = list(MUTATIONS)
    weights = [weight for _, weight in MUTATIONS.values()]
    total = sum(weights)
    order = rng.choice(
        len(names), len(names), replace=False, p=[weight / total for weight in weights]
    )
    for index in order:
        name = names[index]
        drawn = MUTATIONS[name][0](rng, genome, taxonomy)
        if drawn is None or drawn == genome:
            continue
        child = repair(drawn, taxonomy, problem)
        if child not in (genome, parent):
            return Child(child, name)
    return None


def _cross_training(rng: Generator, mother: Training, father: Training) -> Training:
    parent = choose(rng, (mother, father))
    return _either(rng, mother, father).model_copy(
        update={
            "optimizer": parent.optimizer,
            "learning_rate": parent.learning_rate,
            "augmentation": _either(rng, mother.augmentation, father.augmentation),
        }
    )


def _either(rng: Generator, mother: GeneType, father: GeneType) -> GeneType:
    """Return the gene with every field from either parent."""
    return mother.model_copy(
        update={
            name: getattr(choose(rng, (mother, father)), name) for name in type(mother).model_fields
        }
    )
