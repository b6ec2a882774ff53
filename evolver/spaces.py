"""The parts of a search space: what values each kind of gene may have, and what it may cost.

Every default suits small images on a few processor cores.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from commons.genome import Optimizer, Schedule

FeatureKind = Literal["convolution", "pooling", "dropout"]
ClassifierKind = Literal["dense", "dropout"]
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


def _expanded(value: Any) -> Any:
    """Return the whole numbers of a range that is written by its ends."""
    if not isinstance(value, dict) or set(value) != {"low", "high"}:
        return value
    low, high = value["low"], value["high"]
    if not isinstance(low, int) or not isinstance(high, int):
        raise ValueError("expected low and high as whole numbers")
    if not 1 <= low <= high <= _MOST_UNITS:
        raise ValueError(f"expected 1 <= low <= high <= {_MOST_UNITS}, got {low} and {high}")
    return tuple(range(low, high + 1))


_MOST_UNITS = 8192
Filters = Annotated[tuple[Annotated[int, Field(ge=1, le=2048)], ...], BeforeValidator(_expanded)]
Units = Annotated[
    tuple[Annotated[int, Field(ge=1, le=_MOST_UNITS)], ...], BeforeValidator(_expanded)
]


class ConvolutionSpace(Space):
    """Allowed values of a convolution."""

    filters: Filters = Field((8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256), min_length=1)
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
def _check_counts(
    part: str, kinds: tuple[str, ...], least: int, most: int, begin: int | None
) -> None:
    if begin is not None and not least <= begin <= most:
        raise ValueError(f"expected least <= begin <= most {part}, got {least}, {begin} and {most}")
    if least > most:
        raise ValueError(f"expected least <= most {part}, got {least} and {most}")
    if least > 0 and not kinds:
        raise ValueError(f"expected kinds of {part} for at least {least} of them, got none")


class FeatureSpace(Space):
    """Which genes work on maps, at least and at most how many of them together.

    Random genomes begin with at most `begin` of them: a few, unless it is said.
    """

    kinds: tuple[FeatureKind, ...] = (
        *("convolution",) * 5,
        *("pooling",) * 2,
        "dropout",
    )
    least: int = Field(1, ge=0)
    most: int = Field(12, ge=0)
    begin: int | None = Field(None, ge=0)
    convolution: ConvolutionSpace = ConvolutionSpace()
    pooling: PoolingSpace = PoolingSpace()

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        _check_counts("features", self.kinds, self.least, self.most, self.begin)
        return self


class ClassifierSpace(Space):
    """Which genes work on the vector, at least and at most how many of them together.

    Random genomes begin with at most `begin` of them: a few, unless it is said.
    """

    kinds: tuple[ClassifierKind, ...] = ("dense", "dropout")
    least: int = Field(0, ge=0)
    most: int = Field(3, ge=0)
    begin: int | None = Field(None, ge=0)
    units: Units = Field((16, 32, 64, 128, 256), min_length=1)
    norm: tuple[bool, ...] = Field((False, True), min_length=1)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        _check_counts("classifier", self.kinds, self.least, self.most, self.begin)
        return self


class AugmentationSpace(Space):
    """Allowed values of each augmentation; 0 (or false) switches it off."""

    flip: tuple[bool, ...] = Field((False, False, True), min_length=1)
    shift: tuple[Annotated[float, Field(ge=0.0, le=0.5)], ...] = Field(
        (0.0, 0.04, 0.06, 0.08, 0.12, 0.16), min_length=1
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
        (32, 64, 128, 256, 512), min_length=1
    )
    weight_decays: tuple[Annotated[float, Field(ge=0.0, le=0.1)], ...] = Field(
        (0.0, 1e-4, 5e-4, 2e-3, 1e-2, 5e-2), min_length=1
    )
    label_smoothing: tuple[Annotated[float, Field(ge=0.0, le=0.5)], ...] = Field(
        (0.0, 0.05, 0.1, 0.2), min_length=1
    )
    augmentation: AugmentationSpace = AugmentationSpace()


class Limits(Space):
    """What a network may cost at most, for one image; counted by `commons.shapes`."""

    parameters: int = Field(2_000_000, ge=1)
    multiply_adds: int = Field(200_000_000, ge=1)
    activations: int = Field(1_000_000, ge=1)
