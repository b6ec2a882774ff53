"""Single steps of a training, as cheap as the backend can make them."""

from typing import Any, Protocol

import keras
import numpy as np


class Steps(Protocol):
    """Takes steps with a compiled network."""

    def take(self, images: Any, labels: Any) -> None:
        """Take one step on float32 pixels (n, height, width, channels) and one-hot labels (n, k).

        They are arrays of numpy or of the backend.
        """
        ...

    def loss(self) -> float:
        """Return the mean loss of the steps since the last call, once they are done."""
        ...

    def settle(self) -> None:
        """Have the network's and the optimizer's variables hold what the steps made of them."""
        ...


def steps_of(network: keras.Model) -> Steps:
    """Return what takes the steps of a compiled network on this backend."""
    return JaxSteps(network) if keras.backend.backend() == "jax" else TensorflowSteps(network)


class TensorflowSteps:
    """`Steps` by the network's own training function.

    `train_on_batch` resets all metrics and fetches the loss at every step; measured on images of
    8x8 pixels, that is a fifth of the time of a step.
    """

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self._ready = False
        self._loss: Any = 0.0

    def take(self, images: Any, labels: Any) -> None:
        """Take one step."""
        if self._ready:
            # In the very form of the first step: another one would be traced anew.
            self._loss = self._network.train_function(iter([(images, labels, None)]))["loss"]
            return
        # The first step builds and traces what the others use.
        self._loss = self._network.train_on_batch(images, labels, return_dict=True)["loss"]
        self._ready = True

    def loss(self) -> float:
        """Return the mean loss since the last call."""
        value = float(keras.ops.convert_to_numpy(self._loss))
        self._network.reset_metrics()
        return value

    def settle(self) -> None:
        """Do nothing: each step changes the variables themselves."""


class JaxSteps:
    """`Steps` that nobody waits for: the next one is prepared while an accelerator takes one.

    `train_on_batch` fetches the loss, and all variables go out of Keras and back, at every step.
    Here they stay on the device until somebody asks.
    """

    def __init__(self, network: keras.Model) -> None:
        import jax  # noqa: PLC0415 - not where another backend is used

        self._network = network
        optimizer = network.optimizer
        self._rate_at = [each is optimizer._learning_rate for each in optimizer.variables].index(
            True
        )
        self._state: Any = None
        self._losses: list[Any] = []
        self._step = jax.jit(self._stepped)

    def take(self, images: Any, labels: Any) -> None:
        """Take one step, sooner or later."""
        if self._state is None:
            self._state = [[each.value for each in part] for part in self._parts()]
        rate = self._network.optimizer.learning_rate.value
        self._state, loss = self._step(self._state, rate, images, labels)
        self._losses.append(loss)

    def loss(self) -> float:
        """Return the mean loss since the last call; it waits for the last step."""
        value = float(np.mean([float(loss) for loss in self._losses]))
        self._losses.clear()
        return value

    def settle(self) -> None:
        """Give the variables their values back; it waits for the last step."""
        if self._state is not None:
            for part, values in zip(self._parts(), self._state, strict=True):
                for variable, value in zip(part, values, strict=True):
                    variable.assign(value)
            self._state = None

    def _parts(self) -> tuple[list[keras.Variable], ...]:
        network = self._network
        return (
            network.trainable_variables,
            network.non_trainable_variables,
            network.optimizer.variables,
        )

    def _stepped(self, state: Any, rate: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        """Return the state after a step, and its loss."""
        import jax  # noqa: PLC0415 - not where another backend is used

        network, (weights, others, moments) = self._network, state

        def loss_of(weights: Any) -> tuple[Any, Any]:
            logits, after = network.stateless_call(weights, others, images, training=True)
            return network.loss(labels, logits), after

        (loss, others), slopes = jax.value_and_grad(loss_of, has_aux=True)(weights)
        moments = [*moments[: self._rate_at], rate, *moments[self._rate_at + 1 :]]
        weights, moments = network.optimizer.stateless_apply(moments, slopes, weights)
        return [weights, others, moments], loss
