"""Builds the Keras network of a genome. `commons.shapes` infers the same layers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from commons.genome import Convolution, Dense, Dropout, FeatureGene, Genome, Pooling, Training
from trainer.adapters.named_weights import NORM, SHORTCUT
from trainer.adapters.optimizers import build_optimizer
from trainer.adapters.precision import Precision
from trainer.examples import Examples

Norm = type[keras.layers.BatchNormalization]
_SHORT_ACTIVATIONS = frozenset(("relu", "leaky_relu", "linear"))
_NORM_MOMENTUM = 0.9  # few steps: the averages must be warm by the end of a short training


def build_network(
    genome: Genome,
    shape: tuple[int, int, int],
    categories: int,
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    precision: Precision = "float32",
    norm: Norm = keras.layers.BatchNormalization,
) -> keras.Model:
    """Return an untrained network: pixels 0..255 (n, *shape) in, logits (n, categories) out.

    The network scales its input itself (`mean` and `deviation` of each channel), so training
    and service cannot disagree about it. Its variables are the same in every precision and with
    every norm; what is written to a file needs the defaults.
    """
    pixels = keras.Input(shape, name="pixels", dtype="float32")
    x = keras.layers.Rescaling(
        [1.0 / d for d in deviation],
        [-m / d for m, d in zip(mean, deviation, strict=True)],
        name="scaling",
        dtype="float32",
    )(pixels)
    with _default_policy(precision):
        x = _features(genome.features, x, norm)
        x = _head(genome, x)
        for index, gene in enumerate(genome.classifier):
            x = _vector(gene, x, norm, f"classifier-{index}")
    return keras.Model(pixels, keras.layers.Dense(categories, name="output", dtype="float32")(x))


@contextmanager
def _default_policy(precision: Precision) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def with_probabilities(network: keras.Model, *, mirror: bool) -> keras.Model:
    """Return the network as it is published: the same weights, probabilities out.

    With `mirror` they are the mean over the image and its mirror image.
    """
    if not mirror:
        probabilities = keras.layers.Softmax(name="probabilities")(network.outputs[0])
        return keras.Model(network.inputs[0], probabilities)
    pixels = keras.Input(network.input_shape[1:], name="pixels")
    softmax = keras.layers.Softmax()
    views = [softmax(network(view)) for view in (pixels, keras.ops.flip(pixels, axis=2))]
    return keras.Model(pixels, keras.layers.Average(name="probabilities")(views))


def compile_network(network: keras.Model, training: Training) -> None:
    """Make a network ready for `train_on_batch` with one-hot labels."""
    optimizer = build_optimizer(training)
    # Else its variables are made inside the first step, which is then traced twice.
    optimizer.build(network.trainable_variables)
    network.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=training.label_smoothing
        ),
        # Measured: XLA trains small convolutional networks 2.5 times slower on a CPU.
        jit_compile=keras.backend.backend() == "jax",
    )


def network_of(
    genome: Genome,
    examples: Examples,
    categories: int,
    precision: Precision = "float32",
    norm: Norm = keras.layers.BatchNormalization,
) -> keras.Model:
    """Return the untrained network of a genome for these examples; see `build_network`."""
    return build_network(
        genome, examples.shape, categories, examples.mean, examples.deviation, precision, norm
    )


def _features(genes: Sequence[FeatureGene], x: Any, norm: Norm) -> Any:
    taken = False  # by the convolution before it
    for index, (gene, following) in enumerate(zip(genes, (*genes[1:], None), strict=True)):
        if taken:
            taken = False
        elif isinstance(gene, Convolution):
            pooling = _taken_pooling(gene, following)
            x = _convolution(gene, x, pooling, norm, f"features-{index}")
            taken = pooling is not None
        elif isinstance(gene, Pooling):
            x = _pooling(gene, x)
        else:
            x = keras.layers.Dropout(gene.rate)(x)
    return x


def _taken_pooling(gene: Convolution, following: FeatureGene | None) -> Pooling | None:
    """Return the pooling after a convolution if that one does it before norm and activation."""
    fits = isinstance(following, Pooling) and following.kind == "max"
    return following if fits and not gene.residual else None  # type: ignore[return-value]


def _pooling(gene: Pooling, x: Any) -> Any:
    kinds = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
    return kinds[gene.kind](gene.size, padding="same")(x)


def _convolution(gene: Convolution, x: Any, pooling: Pooling | None, norm: Norm, name: str) -> Any:
    layer = keras.layers.SeparableConv2D if gene.separable else keras.layers.Conv2D
    y = layer(
        gene.filters,
        gene.kernel,
        strides=gene.stride,
        padding="same",
        use_bias=not gene.norm,
        name=name,
    )(x)
    if pooling is not None:
        y = _pooling(pooling, y)
    if gene.norm:
        y = norm(momentum=_NORM_MOMENTUM, name=f"{name}{NORM}")(y)
    if gene.residual:
        y = keras.layers.Add()([y, _shortcut(gene, x, y, name)])
    return _activation(gene.activation, y)


def _shortcut(gene: Convolution, x: Any, y: Any, name: str) -> Any:
    if x.shape == y.shape:
        return x
    return keras.layers.Conv2D(
        gene.filters,
        1,
        strides=gene.stride,
        padding="same",
        use_bias=False,
        name=f"{name}{SHORTCUT}",
    )(x)


def _head(genome: Genome, x: Any) -> Any:
    if genome.head == "flatten":
        return keras.layers.Flatten()(x)
    if genome.head == "max":
        return keras.layers.GlobalMaxPooling2D()(x)
    return keras.layers.GlobalAveragePooling2D()(x)


def _vector(gene: Dense | Dropout, x: Any, norm: Norm, name: str) -> Any:
    if isinstance(gene, Dropout):
        return keras.layers.Dropout(gene.rate)(x)
    x = keras.layers.Dense(gene.units, use_bias=not gene.norm, name=name)(x)
    if gene.norm:
        x = norm(momentum=_NORM_MOMENTUM, name=f"{name}{NORM}")(x)
    return _activation(gene.activation, x)


def _activation(name: str, x: Any) -> Any:
    # Measured on a CPU: TensorFlow takes two to three times longer for the others in bfloat16.
    dtype = None if name in _SHORT_ACTIVATIONS else "float32"
    if name == "silu":
        # TensorFlow's own has a gradient of its own, registered for ever under a new name each
        # time it is traced; the whole network stays with it: 3 MB a candidate, measured.
        gate = keras.layers.Activation("sigmoid", dtype=dtype)(x)
        return keras.layers.Multiply(dtype=dtype)([x, gate])
    return keras.layers.Activation(name, dtype=dtype)(x)
