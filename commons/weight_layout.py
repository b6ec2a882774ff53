"""The arrays of a network, by name and shape, as `trainer.adapters.keras_network` makes them.

A name is `features-2/kernel`: the gene, counted from 0 in its row, and the role of the array.
The implied last layer is `output`.
"""

from commons.genome import Convolution, Dense, Dropout, Genome, Pooling
from commons.shapes import Shape, infer_shape

# In the order in which Keras lists them.
NORM_ROLES = ("scale", "offset", "mean", "variance")


def weight_layout(genome: Genome, input_shape: Shape, categories: int) -> dict[str, Shape]:
    """Return the shape of every array of the network, in the order of its layers.

    Raises:
        ValueError: See `commons.shapes.infer_shape`.
    """
    layers = infer_shape(genome, input_shape, categories).layers
    layout: dict[str, Shape] = {}
    shape = input_shape
    for index, (gene, layer) in enumerate(zip(genome.features, layers, strict=False)):
        for role, extents in _feature_arrays(gene, shape, layer.output).items():
            layout[f"features-{index}/{role}"] = extents
        shape = layer.output
    vector = layers[len(genome.features)].output[0]
    for index, gene_of_vector in enumerate(genome.classifier):
        if isinstance(gene_of_vector, Dense):
            for role, extents in _dense_arrays(gene_of_vector, vector).items():
                layout[f"classifier-{index}/{role}"] = extents
            vector = gene_of_vector.units
    return layout | {"output/kernel": (vector, categories), "output/bias": (categories,)}


def _feature_arrays(
    gene: Convolution | Pooling | Dropout, shape: Shape, output: Shape
) -> dict[str, Shape]:
    if not isinstance(gene, Convolution):
        return {}
    channels, kernel = shape[2], gene.kernel
    arrays: dict[str, Shape]
    if gene.separable:
        arrays = {
            "depthwise": (kernel, kernel, channels, 1),
            "pointwise": (1, 1, channels, gene.filters),
        }
    else:
        arrays = {"kernel": (kernel, kernel, channels, gene.filters)}
    arrays |= _norm_or_bias(gene.filters, norm=gene.norm)
    if gene.residual and output != shape:
        arrays["shortcut"] = (1, 1, channels, gene.filters)
    return arrays


def _dense_arrays(gene: Dense, size: int) -> dict[str, Shape]:
    return {"kernel": (size, gene.units), **_norm_or_bias(gene.units, norm=gene.norm)}


def _norm_or_bias(channels: int, *, norm: bool) -> dict[str, Shape]:
    return dict.fromkeys(NORM_ROLES if norm else ("bias",), (channels,))
