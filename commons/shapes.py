"""Pure shape inference: what a genome builds, without building it.

`trainer.adapters.keras_network` builds the same layers; a test compares the two.
"""

from dataclasses import dataclass

from commons.genome import Convolution, Dense, Dropout, Genome, Pooling

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerShape:
    """One layer: its output shape (without the batch), parameters and multiply-adds."""

    name: str
    output: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class NetworkShape:
    """All layers of a network; `parameters` counts what Keras counts, moving averages too."""

    layers: tuple[LayerShape, ...]

    @property
    def parameters(self) -> int:
        """Return the number of weights, trainable or not."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Return the multiply-adds of one forward pass of one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def activations(self) -> int:
        """Return how many numbers all layers put out for one image."""
        total = 0
        for layer in self.layers:
            size = 1
            for extent in layer.output:
                size *= extent
            total += size
        return total


def infer_shape(genome: Genome, input_shape: Shape, categories: int) -> NetworkShape:
    """Return the layers that a genome builds for images of `input_shape` (height, width, channels).

    Raises:
        ValueError: The input shape is not three positive numbers, or there are fewer than two
            categories.
    """
    if len(input_shape) != 3 or min(input_shape) < 1:  # noqa: PLR2004
        raise ValueError(f"expected (height, width, channels), all positive, got {input_shape}")
    if categories < 2:  # noqa: PLR2004
        raise ValueError(f"expected at least 2 categories, got {categories}")
    layers: list[LayerShape] = []
    shape: Shape = input_shape
    for feature in genome.features:
        layers.append(_feature(feature, shape))
        shape = layers[-1].output
    height, width, channels = shape
    vector = height * width * channels if genome.head == "flatten" else channels
    layers.append(LayerShape(genome.head, (vector,), 0, height * width * channels))
    for gene in genome.classifier:
        layers.append(_vector(gene, layers[-1].output[0]))
    layers.append(_vector(Dense(units=categories, activation="linear"), layers[-1].output[0]))
    return NetworkShape(tuple(layers))


def _feature(gene: Convolution | Pooling | Dropout, shape: Shape) -> LayerShape:
    if isinstance(gene, Convolution):
        return _convolution(gene, shape)
    if isinstance(gene, Pooling):
        height, width, channels = shape
        output = (-(-height // gene.size), -(-width // gene.size), channels)
        return LayerShape("pooling", output, 0, height * width * channels)
    return LayerShape("dropout", shape, 0, 0)


def _convolution(gene: Convolution, shape: Shape) -> LayerShape:
    height, width, channels = shape
    output = (-(-height // gene.stride), -(-width // gene.stride), gene.filters)
    positions = output[0] * output[1]
    window = gene.kernel * gene.kernel * channels
    weights = window + channels * gene.filters if gene.separable else window * gene.filters
    parameters = weights + _norm_or_bias(gene.filters, norm=gene.norm)
    if gene.residual and output != shape:
        projection = channels * gene.filters
        weights += projection
        parameters += projection
    return LayerShape("convolution", output, parameters, weights * positions)


def _vector(gene: Dense | Dropout, size: int) -> LayerShape:
    if isinstance(gene, Dropout):
        return LayerShape("dropout", (size,), 0, 0)
    weights = size * gene.units
    parameters = weights + _norm_or_bias(gene.units, norm=gene.norm)
    return LayerShape("dense", (gene.units,), parameters, weights)


def _norm_or_bias(channels: int, *, norm: bool) -> int:
    """Return 4 numbers a channel with batch norm (scale, offset, two averages), else one bias."""
    return 4 * channels if norm else channels
