"""The classic genetic algorithm: whole generations, the best and some others live on.

A generation is what the fold over the journal says: no state beside the members and the seed.
Survivors are not trained again, so a generation costs as many trainings as it has children.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.random import Generator

from commons.genome import Genome, Training
from commons.messages import Generational
from evolver.genes import (
    GeneType,
    choose,
    random_classifier_gene,
    random_feature,
    random_gene,
    random_learning_rate,
)
from evolver.limits import Problem, repair
from evolver.selection import Member, evaluated, ranked
from evolver.taxonomy import Taxonomy

Item = TypeVar("Item")
_PARENTS = 2


class Generation(NamedTuple):
    """The generation that is being filled: `born` of its `children` were proposed."""

    turn: int
    parents: tuple[Member, ...]
    children: int
    born: tuple[Member, ...]

    @property
    def full(self) -> bool:
        """Say whether all its children were proposed."""
        return len(self.born) >= self.children

    @property
    def ended(self) -> bool:
        """Say whether all its children were trained."""
        return self.full and all(member.fitness is not None for member in self.born)


def generation(members: Sequence[Member], size: int, rule: Generational, seed: int) -> Generation:
    """Return the latest generation that was begun, or that begins now."""
    present = Generation(0, (), size, tuple(members[:size]))
    used = size
    while present.ended and present.turn + 1 < rule.generations:
        turn = present.turn + 1
        rng = np.random.default_rng([seed, turn, 0])
        parents = tuple(survivors(rng, (*present.parents, *present.born), rule))
        children = max(size - len(parents), 0)
        born = tuple(members[used : used + children])
        used += children
        present = Generation(turn, parents, children, born)
        if not children:
            break
    return present


def survivors(rng: Generator, members: Sequence[Member], rule: Generational) -> list[Member]:
    """Return who lives on: the best share, and each other with a chance; failures never do."""
    order = ranked(members)
    kept = int(len(order) * rule.retain)
    lucky = [member for member in order[kept:] if rng.random() < rule.random_select]
    return evaluated([*order[:kept], *lucky])


def pair(rng: Generator, parents: Sequence[Member]) -> tuple[Member, Member] | None:
    """Return two different parents, or None if there are no two."""
    if len(parents) < _PARENTS:
        return None
    first, second = rng.choice(len(parents), _PARENTS, replace=False)
    return parents[int(first)], parents[int(second)]


def breed(
    rng: Generator,
    mother: Genome,
    father: Genome,
    taxonomy: Taxonomy,
    problem: Problem,
    mutate_chance: float,
) -> Genome:
    """Return a child with every gene from either parent, each then redrawn with a chance.

    The number of layers is either parent's, and so is each layer at its place.
    """
    leave = ("features", "classifier", "training")
    mixed = _mixed_gene(rng, mother, father, leave).model_copy(
        update={
            "features": _mixed_row(rng, mother.features, father.features),
            "classifier": _mixed_row(rng, mother.classifier, father.classifier),
            "training": _mixed_training(rng, mother.training, father.training),
        }
    )
    return repair(_redrawn(rng, mixed, taxonomy, mutate_chance), taxonomy, problem)


def _mixed_row(
    rng: Generator, mother: tuple[Item, ...], father: tuple[Item, ...]
) -> tuple[Item, ...]:
    length = len(choose(rng, (mother, father)))
    return tuple(
        choose(rng, [row[place] for row in (mother, father) if place < len(row)])
        for place in range(length)
    )


def _mixed_training(rng: Generator, mother: Training, father: Training) -> Training:
    """Return a recipe with each field of either parent; a rate belongs to its optimizer."""
    mixed = _mixed_gene(rng, mother, father, leave=("optimizer", "learning_rate", "augmentation"))
    optimizer = choose(rng, (mother, father))
    return mixed.model_copy(
        update={
            "optimizer": optimizer.optimizer,
            "learning_rate": optimizer.learning_rate,
            "augmentation": _mixed_gene(rng, mother.augmentation, father.augmentation),
        }
    )


def _mixed_gene(
    rng: Generator, mother: GeneType, father: GeneType, leave: Sequence[str] = ()
) -> GeneType:
    names = [name for name in type(mother).model_fields if name not in leave]
    return mother.model_copy(
        update={name: getattr(choose(rng, (mother, father)), name) for name in names}
    )


def _redrawn(rng: Generator, genome: Genome, taxonomy: Taxonomy, chance: float) -> Genome:
    """Return the genome with each gene, and each single value, redrawn with a chance."""

    def drawn(old: Item, new: Any) -> Item:
        return new() if rng.random() < chance else old

    features = tuple(drawn(gene, lambda: random_feature(rng, taxonomy)) for gene in genome.features)
    classifier = tuple(
        drawn(gene, lambda: random_classifier_gene(rng, taxonomy)) for gene in genome.classifier
    )
    return _redrawn_fields(rng, genome, taxonomy, chance).model_copy(
        update={
            "features": features,
            "classifier": classifier,
            "training": _redrawn_training(rng, genome.training, taxonomy, chance),
        }
    )


def _redrawn_training(
    rng: Generator, training: Training, taxonomy: Taxonomy, chance: float
) -> Training:
    recipe = _redrawn_fields(rng, training, taxonomy, chance)
    augmentation = _redrawn_fields(rng, training.augmentation, taxonomy, chance)
    rate = training.learning_rate
    if recipe.optimizer != training.optimizer or rng.random() < chance:
        rate = random_learning_rate(rng, taxonomy.training.optimizers[recipe.optimizer])
    return recipe.model_copy(update={"learning_rate": rate, "augmentation": augmentation})


def _redrawn_fields(rng: Generator, gene: GeneType, taxonomy: Taxonomy, chance: float) -> GeneType:
    fresh = random_gene(rng, taxonomy, type(gene))
    names = [name for name in taxonomy.choices(gene) if rng.random() < chance]
    return gene.model_copy(update={name: getattr(fresh, name) for name in names})
