"""Random genes and genomes drawn from a taxonomy, and the nearest allowed value of any gene."""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from numpy.random import Generator

from commons.genome import (
    Augmentation,
    ClassifierGene,
    Convolution,
    Dense,
    Dropout,
    FeatureGene,
    Gene,
    Genome,
    Pooling,
    Training,
)
from evolver.spaces import ClassifierSpace, FeatureSpace, Interval
from evolver.taxonomy import Taxonomy

Item = TypeVar("Item")
GeneType = TypeVar("GeneType", bound=Gene)
KINDS: dict[str, type[Convolution | Pooling | Dropout | Dense]] = {
    "convolution": Convolution,
    "pooling": Pooling,
    "dropout": Dropout,
    "dense": Dense,
}


def choose(rng: Generator, items: Sequence[Item]) -> Item:
    """Return one of the items, each with the same chance."""
    return items[int(rng.integers(len(items)))]


def random_gene(rng: Generator, taxonomy: Taxonomy, kind: type[GeneType]) -> GeneType:
    """Return a gene of a kind with every field drawn from the taxonomy."""
    values = {name: choose(rng, allowed) for name, allowed in taxonomy.choices(kind).items()}
    return kind(**values)


def random_feature(rng: Generator, taxonomy: Taxonomy) -> FeatureGene:
    """Return a random gene that works on maps; the taxonomy must allow one."""
    gene = random_gene(rng, taxonomy, KINDS[choose(rng, taxonomy.features.kinds)])
    assert not isinstance(gene, Dense)  # noqa: S101 - tells the type checker
    return gene


def random_classifier_gene(rng: Generator, taxonomy: Taxonomy) -> ClassifierGene:
    """Return a random gene that works on the vector; the taxonomy must allow one."""
    gene = random_gene(rng, taxonomy, KINDS[choose(rng, taxonomy.classifier.kinds)])
    assert isinstance(gene, Dense | Dropout)  # noqa: S101 - tells the type checker
    return gene


def random_learning_rate(rng: Generator, interval: Interval) -> float:
    """Return a rate drawn evenly in the logarithm, with three digits."""
    low, high = math.log(interval.low), math.log(interval.high)
    return interval.clip(float(f"{math.exp(rng.uniform(low, high)):.3g}"))


def random_training(rng: Generator, taxonomy: Taxonomy) -> Training:
    """Return a random recipe."""
    recipe = random_gene(rng, taxonomy, Training)
    interval = taxonomy.training.optimizers[recipe.optimizer]
    return recipe.model_copy(
        update={
            "learning_rate": random_learning_rate(rng, interval),
            "augmentation": random_gene(rng, taxonomy, Augmentation),
        }
    )


def random_genome(rng: Generator, taxonomy: Taxonomy) -> Genome:
    """Return a random genome of the taxonomy, of any cost (`evolver.limits` repairs that).

    It starts shallow enough to train fast; mutation may go on to the depth allowed.
    """
    maps = taxonomy.features
    # One or two layers rarely make a good network: those are left to mutation.
    least = min(max(maps.least, 3), maps.most) if maps.kinds and maps.begin is None else maps.least
    features = _drawn_count(rng, maps, least, least + 6)
    vectors = _drawn_count(rng, taxonomy.classifier, taxonomy.classifier.least, 2)
    return random_gene(rng, taxonomy, Genome).model_copy(
        update={
            "features": tuple(random_feature(rng, taxonomy) for _ in range(features)),
            "classifier": tuple(random_classifier_gene(rng, taxonomy) for _ in range(vectors)),
            "training": random_training(rng, taxonomy),
        }
    )


def _drawn_count(
    rng: Generator, space: FeatureSpace | ClassifierSpace, least: int, usual: int
) -> int:
    most = max(usual, least) if space.begin is None else space.begin
    return int(rng.integers(least, min(most, space.most) + 1)) if space.kinds else 0


def nearest(value: Any, allowed: Sequence[Any]) -> Any:
    """Return the allowed value closest to a number, or a value that is no number unchanged.

    What is not comparable falls back to the first allowed value.
    """
    if value in allowed:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return min(allowed, key=lambda item: (abs(item - value), item))
    return allowed[0]


def confine_gene(gene: GeneType, taxonomy: Taxonomy) -> GeneType:
    """Return the gene with every field at its nearest allowed value."""
    values = {
        name: nearest(getattr(gene, name), allowed)
        for name, allowed in taxonomy.choices(gene).items()
    }
    return gene.model_copy(update=values)


def confine(genome: Genome, taxonomy: Taxonomy) -> Genome:
    """Return the nearest genome that the taxonomy allows; one that is inside comes back equal."""
    features, classifier = taxonomy.features, taxonomy.classifier
    maps = [confine_gene(gene, taxonomy) for gene in genome.features if gene.type in features.kinds]
    vectors = [
        confine_gene(gene, taxonomy) for gene in genome.classifier if gene.type in classifier.kinds
    ]
    maps = maps[: features.most]
    vectors = vectors[: classifier.most]
    while len(maps) < features.least:
        maps.append(cheapest_gene(taxonomy, features.kinds[0]))
    while len(vectors) < classifier.least:
        vectors.append(cheapest_gene(taxonomy, classifier.kinds[0]))
    return confine_gene(genome, taxonomy).model_copy(
        update={
            "features": tuple(maps),
            "classifier": tuple(vectors),
            "training": _confine_training(genome.training, taxonomy),
        }
    )


def _confine_training(training: Training, taxonomy: Taxonomy) -> Training:
    recipe = confine_gene(training, taxonomy)
    interval = taxonomy.training.optimizers[recipe.optimizer]
    if recipe.optimizer == training.optimizer:
        rate = interval.clip(training.learning_rate)
    else:  # a rate means nothing to another optimizer
        rate = interval.clip(float(f"{math.sqrt(interval.low * interval.high):.3g}"))
    augmentation = confine_gene(training.augmentation, taxonomy)
    return recipe.model_copy(update={"learning_rate": rate, "augmentation": augmentation})


def cheapest_gene(taxonomy: Taxonomy, kind: str) -> Any:
    """Return the gene of a kind that costs least: smallest sizes, largest strides."""
    choices = taxonomy.choices(KINDS[kind])
    return KINDS[kind](**{name: _cheapest(name, allowed) for name, allowed in choices.items()})


def _cheapest(name: str, allowed: Sequence[Any]) -> Any:
    if name in ("filters", "units", "kernel", "rate"):
        return min(allowed)
    if name in ("stride", "size"):
        return max(allowed)
    return allowed[0]
