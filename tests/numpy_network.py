"""Forward passes of genomes by numpy alone, to see what arrays of weights compute."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from commons.genome import Convolution, Dense, Genome, Pooling
from commons.weight_layout import weight_layout

Array = npt.NDArray[np.float64]
_ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "silu": lambda x: x * 0.5 * (1.0 + np.tanh(x / 2.0)),
    "gelu": lambda x: x * 0.5 * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0))),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
}


def random_weights(
    rng: np.random.Generator, genome: Genome, shape: tuple[int, int, int], categories: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Draw every array, so that none of them is at a value that makes no difference."""
    return {
        name: np.abs(rng.normal(1.0, 0.3, extents)).astype(np.float32)
        if name.endswith(("scale", "variance"))
        else rng.normal(0.0, 0.4, extents).astype(np.float32)
        for name, extents in weight_layout(genome, shape, categories).items()
    }


def logits(genome: Genome, weights: Mapping[str, npt.NDArray[np.float32]], image: Array) -> Array:
    """Return what the network of a genome says to one image (height, width, channels)."""

    def roles(layer: str) -> dict[str, Array]:
        return {
            name.partition("/")[2]: array.astype(np.float64)
            for name, array in weights.items()
            if name.startswith(f"{layer}/")
        }

    x = image
    for index, gene in enumerate(genome.features):
        if isinstance(gene, Convolution):
            x = _convolution(gene, roles(f"features-{index}"), x)
        elif isinstance(gene, Pooling):
            x = _pooling(gene, x)
    if genome.head == "flatten":
        x = x.reshape(-1)
    else:
        x = x.max(axis=(0, 1)) if genome.head == "max" else x.mean(axis=(0, 1))
    for index, vector_gene in enumerate(genome.classifier):
        if isinstance(vector_gene, Dense):
            found = roles(f"classifier-{index}")
            y = _normed(x @ found["kernel"], found)
            x = _ACTIVATIONS[vector_gene.activation](y)
    last = roles("output")
    return x @ last["kernel"] + last["bias"]


def _convolution(gene: Convolution, found: Mapping[str, Array], x: Array) -> Array:
    if gene.separable:
        depthwise = found["depthwise"][..., 0]
        windows = _windows(x, gene.kernel, gene.stride)
        y = np.einsum("hwijc,ijc->hwc", windows, depthwise) @ found["pointwise"][0, 0]
    else:
        windows = _windows(x, gene.kernel, gene.stride)
        y = np.einsum("hwijc,ijcf->hwf", windows, found["kernel"])
    y = _normed(y, found)
    if gene.residual:
        passed = x
        if "shortcut" in found:
            passed = x[:: gene.stride, :: gene.stride] @ found["shortcut"][0, 0]
        y = y + passed
    return np.asarray(_ACTIVATIONS[gene.activation](y))


def _normed(y: Array, found: Mapping[str, Array]) -> Array:
    if "bias" in found:
        return y + found["bias"]
    gain = found["scale"] / np.sqrt(found["variance"] + 1e-3)
    return (y - found["mean"]) * gain + found["offset"]


def _windows(x: Array, size: int, stride: int, empty: float = 0.0) -> Array:
    """Return (rows, columns, size, size, channels) with padding "same" as Keras has it."""
    pads, places = [], []
    for extent in x.shape[:2]:
        places.append(-(-extent // stride))
        total = max((places[-1] - 1) * stride + size - extent, 0)
        pads.append((total // 2, total - total // 2))
    padded = np.pad(x, (*pads, (0, 0)), constant_values=empty)
    return np.array(
        [
            [
                padded[row * stride : row * stride + size, column * stride : column * stride + size]
                for column in range(places[1])
            ]
            for row in range(places[0])
        ]
    )


def _pooling(gene: Pooling, x: Array) -> Array:
    windows = _windows(x, gene.size, gene.size, empty=np.nan)
    pool = np.nanmax if gene.kind == "max" else np.nanmean
    return np.asarray(pool(windows, axis=(2, 3)))
