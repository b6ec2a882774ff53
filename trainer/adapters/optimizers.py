"""The optimizers a genome may name, made for training on one device."""

from typing import Any

import keras

from commons.genome import Training


def build_optimizer(training: Training) -> keras.optimizers.Optimizer:
    """Return the optimizer of a genome at its peak learning rate."""
    momentum = {"momentum": 0.9, "nesterov": True} if training.optimizer == "sgd" else {}
    return _KINDS[training.optimizer](
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay or None,
        **momentum,
    )


class _OneDevice:
    """Leaves out the sum of gradients over replicas, which TensorFlow makes even for one.

    Each sum registers a gradient of its own for ever, and with it all of the network that was
    trained: 13 MB a candidate, measured. Other backends never call this.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        return grads_and_vars


class DirectAdadelta(_OneDevice, keras.optimizers.Adadelta):  # type: ignore[misc]
    """Adadelta on one device."""


class DirectAdagrad(_OneDevice, keras.optimizers.Adagrad):  # type: ignore[misc]
    """Adagrad on one device."""


class DirectAdam(_OneDevice, keras.optimizers.Adam):  # type: ignore[misc]
    """Adam on one device."""


class DirectAdamax(_OneDevice, keras.optimizers.Adamax):  # type: ignore[misc]
    """Adamax on one device."""


class DirectFtrl(_OneDevice, keras.optimizers.Ftrl):  # type: ignore[misc]
    """FTRL on one device."""


class DirectNadam(_OneDevice, keras.optimizers.Nadam):  # type: ignore[misc]
    """Nadam on one device."""


class DirectRmsProp(_OneDevice, keras.optimizers.RMSprop):  # type: ignore[misc]
    """RMSprop on one device."""


class DirectSgd(_OneDevice, keras.optimizers.SGD):  # type: ignore[misc]
    """SGD on one device."""


_KINDS = {
    "adadelta": DirectAdadelta,
    "adagrad": DirectAdagrad,
    "adam": DirectAdam,
    "adamax": DirectAdamax,
    "ftrl": DirectFtrl,
    "nadam": DirectNadam,
    "rmsprop": DirectRmsProp,
    "sgd": DirectSgd,
}
