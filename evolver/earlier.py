"""Genomes and populations of the earlier system: read into ours, and written back.

Its genome is a list of layers; what ours cannot say is refused with the layer's number, and what
is said in another way is mapped by these rules:

- `conv2d` is a convolution without norm; padding `valid` becomes `same` (ours knows no other),
  the longer side of a window and the shorter stride count for both directions.
- `dense` (older: `normal`) before the flatten works on every place of a map: a 1x1 convolution.
- `flatten` is our head of that name; without one it comes after the last `conv2d`, a second one
  does nothing and is dropped. A `conv2d` after it never built and is refused.
- `swish` is our `silu`.
- The recipe is what its optimizer did by itself: Keras' own learning rate for it, constant, no
  augmentation; `sgd` has momentum here. Written back, all of it but the optimizer is left out.

Every mapping that is not to the letter is told in the notes.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from commons.errors import InvalidInputError
from commons.genome import (
    ClassifierGene,
    Convolution,
    Dense,
    Dropout,
    FeatureGene,
    Genome,
    Optimizer,
    Training,
)

_RATES = {"sgd": 0.01}
_RATE = 0.001
_OURS = {"swish": "silu"}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}
ACTIVATIONS = (
    *("elu", "exponential", "hard_sigmoid", "linear", "relu", "selu", "sigmoid", "softmax"),
    *("softplus", "softsign", "swish", "tanh"),
)
OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)


class Reading(NamedTuple):
    """A genome that was read, and what in it was mapped and not to the letter."""

    genome: Genome
    notes: tuple[str, ...] = ()


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Dense(_Part):
    type: Literal["dense", "normal"]
    size: int = Field(ge=1)
    activation: str


class _Dropout(_Part):
    type: Literal["dropout"]
    rate: float


class _Conv2d(_Part):
    type: Literal["conv2d"]
    filters: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    padding: Literal["same", "valid"]
    activation: str


class _Flatten(_Part):
    type: Literal["flatten"]


_Layer = Annotated[_Dense | _Dropout | _Conv2d | _Flatten, Field(discriminator="type")]


class _EarlierGenome(_Part):
    input_shape: tuple[int, ...]
    output_size: int
    optimizer: str
    layers: tuple[_Layer, ...]


def read_genome(value: Mapping[str, Any]) -> Reading:
    """Return our genome for the JSON object of an earlier one.

    Its input shape and output size are left out: ours builds for all of them.

    Raises:
        InvalidInputError: It is no such genome, or ours cannot say it.
    """
    try:
        earlier = _EarlierGenome.model_validate(value)
        return _read(earlier)
    except ValidationError as error:
        raise refusal(first_fault(error)) from error


def write_genome(
    genome: Genome, input_shape: Sequence[int], categories: int
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the earlier system's JSON object for a genome, and notes on what is left out.

    Raises:
        InvalidInputError: It has what the earlier system does not; all of it is named.
    """
    faults = [fault for gene in (*genome.features, *genome.classifier) for fault in _faults(gene)]
    if genome.head != "flatten":
        faults.append(f"the head {genome.head!r}")
    if faults:
        raise InvalidInputError(
            f"the earlier system has no word for {', '.join(dict.fromkeys(faults))}", kind="genome"
        )
    value = {
        "input_shape": list(input_shape),
        "output_size": categories,
        "optimizer": genome.training.optimizer,
        "layers": [
            *(_layer(gene) for gene in genome.features),
            {"type": "flatten"},
            *(_layer(gene) for gene in genome.classifier),
        ],
    }
    plain = _recipe(genome.training.optimizer)
    lost = [name for name in type(plain).model_fields if _differ(plain, genome.training, name)]
    lost += ["mirror"] if genome.mirror else []
    return value, ((f"left out: {', '.join(lost)}",) if lost else ())


def refusal(reason: str) -> InvalidInputError:
    """Return the error that says why a genome cannot be read."""
    return InvalidInputError(f"the genome cannot be read: {reason}", kind="genome")


def first_fault(error: ValidationError) -> str:
    """Return where the first fault of a value is, and what."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"


def _read(earlier: _EarlierGenome) -> Reading:
    notes: list[str] = []
    layers = earlier.layers
    flat = _flatten_at(layers, notes)
    features: list[FeatureGene] = []
    classifier: list[ClassifierGene] = []
    for number, layer in enumerate(layers, 1):
        if isinstance(layer, _Flatten):
            continue
        if number <= flat:
            features.append(_feature(layer, number, notes))
        elif isinstance(layer, _Conv2d):
            raise refusal(f"layer {number} is a conv2d after the flatten: that builds no network")
        elif isinstance(layer, _Dropout):
            classifier.append(Dropout(rate=layer.rate))
        else:
            classifier.append(
                Dense(units=layer.size, activation=_activation(layer.activation, number))
            )
    genome = Genome(
        features=tuple(features),
        head="flatten",
        classifier=tuple(classifier),
        training=_recipe(_optimizer(earlier.optimizer)),
    )
    return Reading(genome, tuple(notes))


def _flatten_at(layers: Sequence[_Part], notes: list[str]) -> int:
    """Return after how many layers the maps become a vector."""
    places = [index for index, layer in enumerate(layers) if isinstance(layer, _Flatten)]
    if len(places) > 1:
        notes.append(f"layer {places[1] + 1} flattens a vector and is dropped")
    if places:
        return places[0]
    convolutions = [index for index, layer in enumerate(layers) if isinstance(layer, _Conv2d)]
    if convolutions:
        notes.append(f"a flatten is put after layer {convolutions[-1] + 1}")
    return convolutions[-1] + 1 if convolutions else 0


def _feature(layer: _Dense | _Dropout | _Conv2d, number: int, notes: list[str]) -> FeatureGene:
    if isinstance(layer, _Dropout):
        return Dropout(rate=layer.rate)
    activation = _activation(layer.activation, number)
    if isinstance(layer, _Dense):
        return Convolution(filters=layer.size, kernel=1, norm=False, activation=activation)
    if layer.padding == "valid":
        notes.append(f"layer {number}: padding valid becomes same")
    for name, sides in (("kernel_size", layer.kernel_size), ("strides", layer.strides)):
        if sides[0] != sides[1]:
            notes.append(f"layer {number}: {name} {list(sides)} becomes square")
    return Convolution(
        filters=layer.filters,
        kernel=max(layer.kernel_size),
        stride=min(layer.strides),
        norm=False,
        activation=activation,
    )


def _activation(name: str, number: int) -> Any:
    if name not in ACTIVATIONS:
        raise refusal(f"layer {number} has the activation {name!r}, none of the earlier system's")
    return _OURS.get(name, name)


def _optimizer(name: str) -> Any:
    if name not in OPTIMIZERS:
        raise refusal(f"the optimizer {name!r} is none of {', '.join(OPTIMIZERS)}")
    return name


def _recipe(optimizer: Any) -> Training:
    return Training(
        optimizer=optimizer, learning_rate=_RATES.get(optimizer, _RATE), schedule="constant"
    )


def _faults(gene: FeatureGene | ClassifierGene) -> list[str]:
    if isinstance(gene, Dropout):
        return []
    if not isinstance(gene, Convolution | Dense):
        return [f"a {gene.type}"]
    marks = [name for name in ("norm", "separable", "residual") if getattr(gene, name, False)]
    if _THEIRS.get(gene.activation, gene.activation) not in ACTIVATIONS:
        marks.append(gene.activation)
    return [f"a {gene.type} with {mark}" for mark in marks]


def _layer(gene: FeatureGene | ClassifierGene) -> dict[str, Any]:
    if isinstance(gene, Dropout):
        return {"type": "dropout", "rate": gene.rate}
    if isinstance(gene, Dense):
        return {"type": "dense", "size": gene.units, "activation": _their_activation(gene)}
    if not isinstance(gene, Convolution):
        raise TypeError(f"a {gene.type} was found to have a word, and has none")
    return {
        "type": "conv2d",
        "filters": gene.filters,
        "kernel_size": [gene.kernel] * 2,
        "strides": [gene.stride] * 2,
        "padding": "same",
        "activation": _their_activation(gene),
    }


def _their_activation(gene: Convolution | Dense) -> str:
    return _THEIRS.get(gene.activation, gene.activation)


def _differ(plain: Training, recipe: Training, name: str) -> bool:
    return bool(getattr(plain, name) != getattr(recipe, name))
