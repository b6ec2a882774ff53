"""The search space as a value: which genes may be used, with which values, how many.

Every field has a default that suits small images on a few processor cores, so a TOML or JSON
taxonomy says only what it restricts:

    heads = ["flatten"]
    [features]
    kinds = []
    most = 0
    [limits]
    parameters = 50_000

A value that stands twice in a list is drawn twice as often.
"""

import tomllib
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

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

FeatureKind = Literal["convolution", "pooling", "dropout"]
ClassifierKind = Literal["dense", "dropout"]
Optimizer = Literal["sgd", "adam", "rmsprop", "nadam"]
Schedule = Literal["constant", "cosine", "one-cycle"]
Rate = Annotated[float, Field(ge=0.0, le=0.9)]


class Space(BaseModel):
    """Base of all parts of a taxonomy: frozen, no unknown field, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(Space):
    """A closed range of positive numbers, drawn from evenly in the logarithm."""

    low: float = Field(gt=0.0)
    high: float = Field(gt=0.0)

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"expected low <= high, got {self.low} and {self.high}")
        return self

    def clip(self, value: float) -> float:
        """Return the nearest number inside."""
        return min(max(value, self.low), self.high)


class ConvolutionSpace(Space):
    """Allowed values of a convolution."""

    filters: tuple[Annotated[int, Field(ge=1, le=2048)], ...] = Field(
        (8, 12, 16, 24, 32, 48, 64, 96, 128), min_length=1
    )
    kernels: tuple[Annotated[int, Field(ge=1, le=11)], ...] = Field((1, 3, 3, 3, 5), min_length=1)
    strides: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field((1, 1, 1, 2), min_length=1)
    norm: tuple[bool, ...] = Field((True, True, True, False), min_length=1)
    separable: tuple[bool, ...] = Field((False, False, False, True), min_length=1)
    residual: tuple[bool, ...] = Field((False, True), min_length=1)


class PoolingSpace(Space):
    """Allowed values of a pooling."""

    kinds: tuple[Literal["max", "average"], ...] = Field(("max", "average"), min_length=1)
    sizes: tuple[Annotated[int, Field(ge=2, le=4)], ...] = Field((2, 3), min_length=1)


# Above its users: a default value is checked while its class is made.
def _check_counts(part: str, kinds: tuple[str, ...], least: int, most: int) -> None:
    if least > most:
        raise ValueError(f"expected least <= most {part}, got {least} and {most}")
    if least > 0 and not kinds:
        raise ValueError(f"expected kinds of {part} for at least {least} of them, got none")


class FeatureSpace(Space):
    """Which genes work on maps, at least and at most how many of them together."""

    kinds: tuple[FeatureKind, ...] = (
        *("convolution",) * 5,
        *("pooling",) * 2,
        "dropout",
    )
    least: int = Field(1, ge=0)
    most: int = Field(12, ge=0)
    convolution: ConvolutionSpace = ConvolutionSpace()
    pooling: PoolingSpace = PoolingSpace()

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        _check_counts("features", self.kinds, self.least, self.most)
        return self


class ClassifierSpace(Space):
    """Which genes work on the vector, at least and at most how many of them together."""

    kinds: tuple[ClassifierKind, ...] = ("dense", "dropout")
    least: int = Field(0, ge=0)
    most: int = Field(3, ge=0)
    units: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (16, 32, 64, 128, 256), min_length=1
    )
    norm: tuple[bool, ...] = Field((False, True), min_length=1)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        _check_counts("classifier", self.kinds, self.least, self.most)
        return self


class AugmentationSpace(Space):
    """Allowed values of each augmentation; 0 (or false) switches it off."""

    flip: tuple[bool, ...] = Field((False, False, True), min_length=1)
    shift: tuple[Annotated[float, Field(ge=0.0, le=0.5)], ...] = Field(
        (0.0, 0.04, 0.08, 0.12, 0.16), min_length=1
    )
    rotate: tuple[Annotated[float, Field(ge=0.0, le=45.0)], ...] = Field(
        (0.0, 0.0, 5.0, 10.0, 15.0), min_length=1
    )
    cutout: tuple[Annotated[float, Field(ge=0.0, le=0.75)], ...] = Field(
        (0.0, 0.0, 0.0, 0.2, 0.3, 0.4), min_length=1
    )
    noise: tuple[Annotated[float, Field(ge=0.0, le=0.5)], ...] = Field(
        (0.0, 0.0, 0.02, 0.05), min_length=1
    )


class TrainingSpace(Space):
    """Allowed recipes; each allowed optimizer brings its own range of peak learning rates."""

    # Without "adamw": Keras decouples the weight decay of every optimizer, so that "adam" with
    # a weight decay is the same.
    optimizers: dict[Optimizer, Interval] = Field(
        {
            "sgd": Interval(low=0.02, high=1.0),
            "adam": Interval(low=5e-4, high=1e-2),
            "nadam": Interval(low=5e-4, high=1e-2),
        },
        min_length=1,
    )
    schedules: tuple[Schedule, ...] = Field(("one-cycle", "one-cycle", "cosine"), min_length=1)
    batch_sizes: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        (32, 64, 128, 256), min_length=1
    )
    weight_decays: tuple[Annotated[float, Field(ge=0.0, le=0.1)], ...] = Field(
        (0.0, 1e-4, 5e-4, 2e-3, 1e-2), min_length=1
    )
    label_smoothing: tuple[Annotated[float, Field(ge=0.0, le=0.5)], ...] = Field(
        (0.0, 0.05, 0.1, 0.2), min_length=1
    )
    augmentation: AugmentationSpace = AugmentationSpace()


class Limits(Space):
    """What a network may cost at most, for one image; counted by `commons.shapes`."""

    parameters: int = Field(2_000_000, ge=1)
    multiply_adds: int = Field(60_000_000, ge=1)
    activations: int = Field(1_000_000, ge=1)


class Taxonomy(Space):
    """The whole search space."""

    features: FeatureSpace = FeatureSpace()
    heads: tuple[Head, ...] = Field(("average", "average", "max", "flatten"), min_length=1)
    classifier: ClassifierSpace = ClassifierSpace()
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
    if genome.head not in taxonomy.heads:
        faults.append(f"head {genome.head}")
    faults += [f"a {gene.type}" for gene in genome.features if gene.type not in features.kinds]
    faults += [f"a {gene.type}" for gene in genome.classifier if gene.type not in classifier.kinds]
    for gene in (*genome.features, *genome.classifier, training, training.augmentation):
        faults += [
            f"{name} {getattr(gene, name)}"
            for name, allowed in taxonomy.choices(gene).items()
            if getattr(gene, name) not in allowed
        ]
    interval = taxonomy.training.optimizers.get(training.optimizer)
    if interval and not interval.low <= training.learning_rate <= interval.high:
        faults.append(f"learning_rate {training.learning_rate}")
    return faults
