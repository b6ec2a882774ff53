"""The search space as a value: which genes may be used, with which values, how many.

Every field has a default that suits small images on a few processor cores, so a TOML or JSON
taxonomy says only what it restricts:

    heads = ["flatten"]
    [features]
    kinds = []
    most = 0
    [limits]
    parameters = 50_000

A value that stands twice in a list is drawn twice as often; `{ low = 1, high = 99 }` stands for
all whole numbers from 1 to 99. `evolver.taxonomies` ships some.
"""

import tomllib
from collections.abc import Callable
from typing import Any

from pydantic import Field, ValidationError

from commons.errors import InvalidInputError
from commons.genome import (
    Activation,
    Augmentation,
    Convolution,
    Dense,
    Dropout,
    Gene,
    Genome,
    Head,
    Pooling,
    Training,
)
from evolver.spaces import ClassifierSpace, FeatureSpace, Limits, Rate, Space, TrainingSpace


class Taxonomy(Space):
    """The whole search space."""

    features: FeatureSpace = FeatureSpace()
    heads: tuple[Head, ...] = Field(("average", "average", "max", "flatten"), min_length=1)
    classifier: ClassifierSpace = ClassifierSpace()
    mirror: tuple[bool, ...] = Field((False, False, True), min_length=1)
    activations: tuple[Activation, ...] = Field(
        ("relu", "relu", "silu", "gelu", "elu", "leaky_relu"), min_length=1
    )
    dropout_rates: tuple[Rate, ...] = Field((0.05, 0.1, 0.2, 0.3, 0.5), min_length=1)
    training: TrainingSpace = TrainingSpace()
    limits: Limits = Limits()

    def choices(self, gene: Gene | type[Gene]) -> dict[str, tuple[Any, ...]]:
        """Return the allowed values of every field of a gene or of a kind of gene.

        The learning rate is missing: its range depends on the optimizer.
        """
        kind = gene if isinstance(gene, type) else type(gene)
        return _CHOICES[kind](self)


_CHOICES: dict[type[Gene], Callable[[Taxonomy], dict[str, tuple[Any, ...]]]] = {
    Genome: lambda space: {"head": space.heads, "mirror": space.mirror},
    Convolution: lambda space: {
        "filters": space.features.convolution.filters,
        "kernel": space.features.convolution.kernels,
        "stride": space.features.convolution.strides,
        "norm": space.features.convolution.norm,
        "separable": space.features.convolution.separable,
        "residual": space.features.convolution.residual,
        "activation": space.activations,
    },
    Pooling: lambda space: {
        "kind": space.features.pooling.kinds,
        "size": space.features.pooling.sizes,
    },
    Dropout: lambda space: {"rate": space.dropout_rates},
    Dense: lambda space: {
        "units": space.classifier.units,
        "norm": space.classifier.norm,
        "activation": space.activations,
    },
    Training: lambda space: {
        "optimizer": tuple(space.training.optimizers),
        "schedule": space.training.schedules,
        "batch_size": space.training.batch_sizes,
        "weight_decay": space.training.weight_decays,
        "label_smoothing": space.training.label_smoothing,
    },
    Augmentation: lambda space: {
        name: getattr(space.training.augmentation, name) for name in Augmentation.model_fields
    },
}


def taxonomy_from_value(value: dict[str, Any] | None) -> Taxonomy:
    """Return the taxonomy that a JSON object restricts the default to (None: the default).

    Raises:
        InvalidInputError: One message that lists every fault, among them that nothing is
            allowed.
    """
    try:
        return Taxonomy.model_validate(value or {})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'all'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise InvalidInputError(f"the taxonomy is wrong: {faults}", kind="taxonomy") from error


def taxonomy_from_toml(text: str) -> Taxonomy:
    """Return the taxonomy that a TOML text restricts the default to.

    Raises:
        InvalidInputError: It is no TOML, or no taxonomy.
    """
    try:
        return taxonomy_from_value(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"the taxonomy is no TOML: {error}", kind="taxonomy") from error


def strangers(taxonomy: Taxonomy, genome: Genome) -> list[str]:
    """Return what in a genome the taxonomy does not allow; empty if it is inside.

    What the network costs depends on the image shape and is checked by `evolver.limits`.
    """
    features, classifier = taxonomy.features, taxonomy.classifier
    training = genome.training
    faults = []
    if not features.least <= len(genome.features) <= features.most:
        faults.append(f"{len(genome.features)} features")
    if not classifier.least <= len(genome.classifier) <= classifier.most:
        faults.append(f"{len(genome.classifier)} classifier genes")
    faults += [f"a {gene.type}" for gene in genome.features if gene.type not in features.kinds]
    faults += [f"a {gene.type}" for gene in genome.classifier if gene.type not in classifier.kinds]
    genes = (genome, *genome.features, *genome.classifier, training, training.augmentation)
    for gene in genes:
        faults += [
            f"{name} {getattr(gene, name)}"
            for name, allowed in taxonomy.choices(gene).items()
            if getattr(gene, name) not in allowed
        ]
    interval = taxonomy.training.optimizers.get(training.optimizer)
    if interval and not interval.low <= training.learning_rate <= interval.high:
        faults.append(f"learning_rate {training.learning_rate}")
    return faults
