"""The optimizers a genome may name, which take their steps in one vector."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from commons.genome import Training


def build_optimizer(training: Training) -> keras.optimizers.Optimizer:
    """Return the optimizer of a genome at its peak learning rate."""
    momentum = {"momentum": 0.9, "nesterov": True} if training.optimizer == "sgd" else {}
    return _KINDS[training.optimizer](
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay or None,
        **momentum,
    )


class _Flat:
    """Updates all variables of a network as one long vector; on TensorFlow alone.

    All optimizers here treat every number alike, so it gives the same numbers. Their operations
    are traced and run once instead of once a variable: a candidate of a second spent a quarter of
    its time on that, by py-spy. JAX fuses them by itself.

    It also leaves out the sum of gradients over replicas, which TensorFlow makes even for one: each
    registers a gradient of its own for ever, and with it all of the network that was trained, 13 MB
    a candidate, measured.
    """

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the optimizer's own variables: those of one vector."""
        if keras.backend.backend() != "tensorflow":
            super().build(variables)  # type: ignore[misc]
            return
        self._parts = _Parts(variables)
        super().build([self._parts.vector])  # type: ignore[misc]

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[keras.Variable] | None = None
    ) -> None:
        """Take a step with the gradients of the variables it was built with, in their order."""
        if keras.backend.backend() != "tensorflow":
            super().apply(grads, trainable_variables)  # type: ignore[misc]
            return
        self._parts.gather()
        super().apply([_flat(grads)], [self._parts.vector])  # type: ignore[misc]
        self._parts.scatter()

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        return grads_and_vars


class _Parts:
    """The variables of a network, and a vector that has room for them all.

    It is no part of the optimizer's state, as an attribute of Keras' or a tuple would be, and holds
    nothing from one step to the next: who sets a weight need not know of it.
    """

    def __init__(self, variables: Sequence[keras.Variable]) -> None:
        self._variables = tuple(variables)
        ends = np.cumsum([int(np.prod(variable.shape)) for variable in variables])
        self._cuts = [int(end) for end in ends[:-1]]
        self.vector = keras.Variable(np.zeros(ends[-1], np.float32), trainable=False)

    def gather(self) -> None:
        self.vector.assign(_flat(self._variables))

    def scatter(self) -> None:
        values = keras.ops.split(self.vector, self._cuts)
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(keras.ops.reshape(value, variable.shape))


def _flat(arrays: Sequence[Any]) -> Any:
    return keras.ops.concatenate([keras.ops.reshape(array, (-1,)) for array in arrays])


class FlatAdadelta(_Flat, keras.optimizers.Adadelta):  # type: ignore[misc]
    """Adadelta in one vector."""


class FlatAdagrad(_Flat, keras.optimizers.Adagrad):  # type: ignore[misc]
    """Adagrad in one vector."""


class FlatAdam(_Flat, keras.optimizers.Adam):  # type: ignore[misc]
    """Adam in one vector."""


class FlatAdamax(_Flat, keras.optimizers.Adamax):  # type: ignore[misc]
    """Adamax in one vector."""


class FlatFtrl(_Flat, keras.optimizers.Ftrl):  # type: ignore[misc]
    """FTRL in one vector."""


class FlatNadam(_Flat, keras.optimizers.Nadam):  # type: ignore[misc]
    """Nadam in one vector."""


class FlatRmsProp(_Flat, keras.optimizers.RMSprop):  # type: ignore[misc]
    """RMSprop in one vector."""


class FlatSgd(_Flat, keras.optimizers.SGD):  # type: ignore[misc]
    """SGD in one vector."""


_KINDS = {
    "adadelta": FlatAdadelta,
    "adagrad": FlatAdagrad,
    "adam": FlatAdam,
    "adamax": FlatAdamax,
    "ftrl": FlatFtrl,
    "nadam": FlatNadam,
    "rmsprop": FlatRmsProp,
    "sgd": FlatSgd,
}
