"""The variables of a Keras network by the names of `commons.weight_layout`."""

from collections.abc import Iterator

import keras
import numpy as np
import numpy.typing as npt

# Layers of one gene are named after it; these endings tell them apart.
NORM, SHORTCUT = "-norm", "-shortcut"
# By what Keras calls a variable of a layer.
_ROLES = {
    "kernel": "kernel",
    "depthwise_kernel": "depthwise",
    "pointwise_kernel": "pointwise",
    "bias": "bias",
    "gamma": "scale",
    "beta": "offset",
    "moving_mean": "mean",
    "moving_variance": "variance",
}


def variables_of(network: keras.Model) -> dict[str, keras.Variable]:
    """Return every weight of a network by its name, in the order in which Keras lists them."""
    return dict(_named(network))


def arrays_of(network: keras.Model) -> dict[str, npt.NDArray[np.float32]]:
    """Return the values of every weight of a network by its name, in the order of Keras."""
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in _named(network)}


def _named(network: keras.Model) -> Iterator[tuple[str, keras.Variable]]:
    for layer in network.layers:
        gene = layer.name.removesuffix(NORM).removesuffix(SHORTCUT)
        for variable in layer.weights:
            role = "shortcut" if layer.name.endswith(SHORTCUT) else _ROLES[variable.name]
            yield f"{gene}/{role}", variable
