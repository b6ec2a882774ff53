"""Different genomes that build and train the same network, seen without building one."""

from collections.abc import Sequence

from commons.genome import Convolution, Dropout, FeatureGene, Genome, Pooling, genome_hash
from commons.shapes import infer_shape
from evolver.genes import GeneType
from evolver.limits import Problem

_LEAST_POOLING = 2


def network_key(genome: Genome, problem: Problem) -> str:
    """Return the same key for genomes of which one is another name of the other.

    It is the hash of the plainest genome that builds the network: without dropouts of nothing,
    poolings of single pixels, windows wider than what they look at and the like.
    """
    return genome_hash(plainest(genome, problem))


def plainest(genome: Genome, problem: Problem) -> Genome:
    """Return the genome without what makes no difference for these images."""
    layers = infer_shape(genome, problem.shape, problem.categories).layers
    inputs = [problem.shape[:2], *(layer.output[:2] for layer in layers)][: len(genome.features)]
    features: list[FeatureGene] = []
    for gene, size in zip(genome.features, inputs, strict=True):
        features += _plain_feature(gene, max(size))
    last = layers[len(genome.features) - 1].output[:2] if genome.features else problem.shape[:2]
    return genome.model_copy(
        update={
            "features": tuple(features),
            "head": "average" if max(last) == 1 else genome.head,
            "classifier": tuple(_without_idle_dropouts(genome.classifier)),
        }
    )


def _plain_feature(gene: FeatureGene, extent: int) -> Sequence[FeatureGene]:
    """Return what a gene comes to on maps whose longer side is `extent`: itself, less or none."""
    if isinstance(gene, Dropout):
        return _without_idle_dropouts([gene])
    if isinstance(gene, Pooling):
        if extent == 1:
            return []
        return [gene.model_copy(update={"size": min(gene.size, max(extent, _LEAST_POOLING))})]
    return [_plain_convolution(gene, extent)]


def _plain_convolution(gene: Convolution, extent: int) -> Convolution:
    if extent == 1:  # all but the middle of the window sees padding
        gene = gene.model_copy(update={"kernel": 1, "stride": 1})
    # Scaling each channel before they are mixed is mixing them.
    return gene.model_copy(update={"separable": False}) if gene.kernel == 1 else gene


def _without_idle_dropouts(genes: Sequence[GeneType]) -> list[GeneType]:
    return [gene for gene in genes if not (isinstance(gene, Dropout) and gene.rate == 0.0)]
