"""The genome: a frozen JSON value that says how to build and train a network.

A genome has no input shape and no number of categories: it builds for every one of them
(`commons.shapes` says what comes out). Three parts make that true by construction:
`features` work on maps and keep their rank (all padding is "same"), `head` turns maps into a
vector, `classifier` works on vectors; the output layer is implied.
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Activation = Literal[
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]
Optimizer = Literal["adadelta", "adagrad", "adam", "adamax", "ftrl", "nadam", "rmsprop", "sgd"]
Schedule = Literal["constant", "cosine", "one-cycle"]


class Gene(BaseModel):
    """Base of all genes: frozen, unknown fields refused, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Convolution(Gene):
    """Convolution, then batch norm (if `norm`), then activation.

    With `separable` it is a depthwise convolution followed by a pointwise one. With
    `residual` the input is added before the activation, through a 1x1 projection where its
    shape differs.
    """

    type: Literal["convolution"] = "convolution"
    filters: int = Field(ge=1, le=2048)
    kernel: int = Field(ge=1, le=11)
    stride: int = Field(default=1, ge=1, le=4)
    norm: bool = True
    activation: Activation = "relu"
    separable: bool = False
    residual: bool = False


class Pooling(Gene):
    """Maximum or average over `size`x`size` windows that do not overlap.

    A maximum right after a convolution without `residual` is taken before that one's norm and
    activation, which then have a quarter to do; for a rising activation the values are the same.
    """

    type: Literal["pooling"] = "pooling"
    kind: Literal["max", "average"] = "max"
    size: int = Field(default=2, ge=2, le=4)


class Dropout(Gene):
    """Sets a share of its inputs to zero while training."""

    type: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0.0, le=0.9)


class Dense(Gene):
    """A fully connected layer, then batch norm (if `norm`), then activation."""

    type: Literal["dense"] = "dense"
    units: int = Field(ge=1, le=8192)
    norm: bool = False
    activation: Activation = "relu"


FeatureGene = Annotated[Convolution | Pooling | Dropout, Field(discriminator="type")]
ClassifierGene = Annotated[Dense | Dropout, Field(discriminator="type")]
Head = Literal["flatten", "average", "max"]


class Augmentation(Gene):
    """Random changes of every training image, fresh in each epoch; all off is a valid value.

    Args:
        flip: Mirror left and right, half of the images in one epoch and the others in the next.
        shift: Largest move in each direction, as a share of height and width.
        rotate: Largest turn in either direction, in degrees.
        cutout: Side of a square that is blanked, as a share of the shorter side.
        noise: Standard deviation of added Gaussian noise, as a share of the value range.
    """

    flip: bool = False
    shift: float = Field(default=0.0, ge=0.0, le=0.5)
    rotate: float = Field(default=0.0, ge=0.0, le=45.0)
    cutout: float = Field(default=0.0, ge=0.0, le=0.75)
    noise: float = Field(default=0.0, ge=0.0, le=0.5)


class Training(Gene):
    """How the weights are found; `learning_rate` is the peak of the schedule."""

    optimizer: Optimizer = "adam"
    learning_rate: float = Field(default=1e-3, gt=0.0, le=10.0)
    schedule: Schedule = "one-cycle"
    batch_size: int = Field(default=64, ge=1, le=4096)
    weight_decay: float = Field(default=0.0, ge=0.0, le=0.1)
    label_smoothing: float = Field(default=0.0, ge=0.0, le=0.5)
    augmentation: Augmentation = Augmentation()


class Genome(Gene):
    """How to build and train a network; its `genome_hash` is its identity.

    With `mirror` the network's answer is the mean of what it says of an image and of its mirror
    image, left and right exchanged: twice the cost of an answer, none in training.
    """

    version: Literal[1] = 1
    features: tuple[FeatureGene, ...] = ()
    head: Head = "average"
    classifier: tuple[ClassifierGene, ...] = ()
    mirror: bool = False
    training: Training = Training()


def genome_to_json(genome: Genome) -> str:
    """Return the canonical JSON: all fields, sorted keys, no spaces."""
    return json.dumps(genome.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def genome_from_json(text: str | bytes) -> Genome:
    """Return the genome a JSON text describes.

    Raises:
        pydantic.ValidationError: It is no JSON, or no genome of this version.
    """
    return Genome.model_validate_json(text)


def genome_hash(genome: Genome) -> str:
    """Return the sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(genome_to_json(genome).encode()).hexdigest()


def describe_genome(genome: Genome) -> str:
    """Return one line for people, e.g. `32c3 64c3r max2 | average | d128 | adam 0.003 b64`."""
    features = " ".join(_word(gene) for gene in genome.features) or "-"
    classifier = " ".join(_word(gene) for gene in genome.classifier)
    training = genome.training
    recipe = f"{training.optimizer} {training.learning_rate:.2g} b{training.batch_size}"
    mirror = "mirror" if genome.mirror else ""
    parts = (features, genome.head, classifier, mirror, recipe)
    return " | ".join(part for part in parts if part)


def _word(gene: Convolution | Pooling | Dropout | Dense) -> str:
    if isinstance(gene, Convolution):
        marks = ("s" if gene.separable else "c") + str(gene.kernel)
        marks += f"/{gene.stride}" if gene.stride > 1 else ""
        return f"{gene.filters}{marks}{'r' if gene.residual else ''}"
    if isinstance(gene, Pooling):
        return f"{gene.kind[:3]}{gene.size}"
    if isinstance(gene, Dropout):
        return f"drop{gene.rate:.2g}"
    return f"d{gene.units}"
