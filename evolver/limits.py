"""Keeps genomes within a cost: what a network for certain images may need at most.

All of it is pure shape inference and deterministic: the same genome for the same problem is
always repaired to the same genome.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from commons.errors import InvalidInputError
from commons.genome import ClassifierGene, Convolution, Dense, FeatureGene, Genome, Pooling
from commons.shapes import LayerShape, NetworkShape, infer_shape
from evolver.genes import cheapest_gene, confine
from evolver.taxonomy import Taxonomy

# Above this height or width a smaller map is the first thing to try: it keeps the filters.
_WIDE_MAP = 32


@dataclass(frozen=True)
class Problem:
    """What a network must solve: images of `shape` (height, width, channels)."""

    shape: tuple[int, int, int]
    categories: int


def excess(genome: Genome, taxonomy: Taxonomy, problem: Problem) -> dict[str, int]:
    """Return by how much each limit is passed; empty for a genome that fits."""
    return _excess(infer_shape(genome, problem.shape, problem.categories), taxonomy)


def repair(genome: Genome, taxonomy: Taxonomy, problem: Problem) -> Genome:
    """Return the genome confined to the taxonomy and made cheaper until it fits.

    The costliest layer loses first: a wide map is strided, then filters, kernel and full
    convolution shrink, then the layer goes. Each step takes something away, so this ends.

    Raises:
        InvalidInputError: No genome of this taxonomy fits these images.
    """
    genome = _made_cheaper(confine(genome, taxonomy), taxonomy, problem)
    return _without_idle_pooling(genome, taxonomy, problem)


def _made_cheaper(genome: Genome, taxonomy: Taxonomy, problem: Problem) -> Genome:
    while over := excess(genome, taxonomy, problem):
        measure = max(over, key=lambda name: over[name] / getattr(taxonomy.limits, name))
        smaller = _shrink(genome, measure, taxonomy, problem)
        if smaller is None:
            return _smallest(genome, taxonomy, problem)
        genome = smaller
    return genome


def _smallest(genome: Genome, taxonomy: Taxonomy, problem: Problem) -> Genome:
    """Return the first genome that fits of the cheapest ones of every depth."""
    space, kinds = taxonomy.features, dict.fromkeys(taxonomy.features.kinds)
    for depth in range(space.least, space.most + 1 if kinds else 1):
        for kind in kinds or [None]:
            features = (cheapest_gene(taxonomy, kind),) * depth if kind else ()
            small = genome.model_copy(update={"features": features})
            if not excess(small, taxonomy, problem):
                return small
    raise InvalidInputError(
        f"the taxonomy allows no network for images of shape {problem.shape} and"
        f" {problem.categories} categories within its limits {taxonomy.limits}",
        kind="taxonomy",
    )


def _excess(network: NetworkShape, taxonomy: Taxonomy) -> dict[str, int]:
    over = {
        "parameters": network.parameters - taxonomy.limits.parameters,
        "multiply_adds": network.multiply_adds - taxonomy.limits.multiply_adds,
        "activations": network.activations - taxonomy.limits.activations,
    }
    return {name: amount for name, amount in over.items() if amount > 0}


def _without_idle_pooling(genome: Genome, taxonomy: Taxonomy, problem: Problem) -> Genome:
    """Drop poolings of 1x1 maps: they do nothing but make two names for one network."""
    layers = infer_shape(genome, problem.shape, problem.categories).layers
    inputs = [problem.shape, *(layer.output for layer in layers)]
    kept = tuple(
        gene
        for gene, shape in zip(genome.features, inputs, strict=False)
        if not (isinstance(gene, Pooling) and shape[:2] == (1, 1))
    )
    if len(kept) < taxonomy.features.least:
        return genome
    return genome.model_copy(update={"features": kept})


def _shrink(genome: Genome, measure: str, taxonomy: Taxonomy, problem: Problem) -> Genome | None:
    """Return the genome with one thing made smaller, or None if nothing can be."""
    layers = infer_shape(genome, problem.shape, problem.categories).layers
    order = sorted(range(len(layers)), key=lambda index: (-_cost(layers[index], measure), index))
    for index in order:
        for smaller in _shrunk_at(genome, index, layers, taxonomy):
            return smaller
    return None


def _cost(layer: LayerShape, measure: str) -> int:
    if measure == "activations":
        size = 1
        for extent in layer.output:
            size *= extent
        return size
    return int(getattr(layer, measure))


def _shrunk_at(
    genome: Genome, index: int, layers: tuple[LayerShape, ...], taxonomy: Taxonomy
) -> Iterator[Genome]:
    """Yield what can be made smaller at a layer, the best way first."""
    count = len(genome.features)
    if index < count:
        gene = genome.features[index]
        if isinstance(gene, Pooling):  # without it everything after it costs more
            return
        if isinstance(gene, Convolution):
            for smaller in _smaller_convolutions(gene, max(layers[index].output[:2]), taxonomy):
                yield _with_feature(genome, index, smaller)
        if getattr(gene, "stride", 1) == 1 and count > taxonomy.features.least:
            yield _without_feature(genome, index)
        return
    # A wide vector is the head's: the layer that it feeds costs the parameters.
    if genome.head == "flatten" and {"average", "max"} & set(taxonomy.heads):
        head = "average" if "average" in taxonomy.heads else "max"
        yield genome.model_copy(update={"head": head})
    yield from _smaller_classifiers(genome, index - count - 1, taxonomy)


def _smaller_convolutions(
    gene: Convolution, extent: int, taxonomy: Taxonomy
) -> Iterator[Convolution]:
    space = taxonomy.features.convolution
    strides = [stride for stride in sorted(set(space.strides)) if stride > gene.stride]
    if strides and extent > _WIDE_MAP:
        yield gene.model_copy(update={"stride": strides[0]})
    for name, allowed in (("filters", space.filters), ("kernel", space.kernels)):
        smaller = [value for value in allowed if value < getattr(gene, name)]
        if smaller:
            yield gene.model_copy(update={name: max(smaller)})
    if not gene.separable and True in space.separable and gene.kernel > 1:
        yield gene.model_copy(update={"separable": True})
    if strides:
        yield gene.model_copy(update={"stride": strides[0]})


def _smaller_classifiers(genome: Genome, index: int, taxonomy: Taxonomy) -> Iterator[Genome]:
    genes = genome.classifier
    # The output layer has no gene of its own: the last one before it decides what it costs.
    index = min(index, len(genes) - 1)
    if index < 0:
        return
    gene = genes[index]
    if isinstance(gene, Dense):
        units = [value for value in taxonomy.classifier.units if value < gene.units]
        if units:
            smaller: ClassifierGene = gene.model_copy(update={"units": max(units)})
            changed = (*genes[:index], smaller, *genes[index + 1 :])
            yield genome.model_copy(update={"classifier": changed})
    if len(genes) > taxonomy.classifier.least:
        yield genome.model_copy(update={"classifier": (*genes[:index], *genes[index + 1 :])})


def _with_feature(genome: Genome, index: int, gene: FeatureGene) -> Genome:
    features = (*genome.features[:index], gene, *genome.features[index + 1 :])
    return genome.model_copy(update={"features": features})


def _without_feature(genome: Genome, index: int) -> Genome:
    features = (*genome.features[:index], *genome.features[index + 1 :])
    return genome.model_copy(update={"features": features})
