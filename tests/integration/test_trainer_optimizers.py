"""Optimizers that update all variables as one vector take the steps of Keras' own."""

from typing import get_args

import numpy as np
import pytest

from commons.genome import Training

# What Keras and TensorFlow say of each other's older ways is not ours.
pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
]
KINDS = get_args(Training.model_fields["optimizer"].annotation)
STEPS = 6


def weights_after(optimizer: object) -> list[np.ndarray]:
    """Return the weights of a small network after some steps with an optimizer."""
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(3)
    network = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    optimizer.build(network.trainable_variables)  # type: ignore[attr-defined]
    network.compile(
        optimizer=optimizer, loss=keras.losses.CategoricalCrossentropy(from_logits=True)
    )
    rng = np.random.default_rng(0)
    for step in range(STEPS):
        images = rng.normal(size=(8, 6, 6, 2)).astype(np.float32)
        labels = np.eye(5, dtype=np.float32)[rng.integers(0, 5, 8)]
        # As the schedule does between steps.
        optimizer.learning_rate = 0.01 * (step + 1)  # type: ignore[attr-defined]
        network.train_on_batch(images, labels)
    return [keras.ops.convert_to_numpy(variable) for variable in network.variables]


@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_in_one_vector_is_the_step_of_every_variable(kind: str, weight_decay: float) -> None:
    import keras  # noqa: PLC0415

    from trainer.adapters.optimizers import build_optimizer  # noqa: PLC0415

    training = Training.model_validate(
        {"optimizer": kind, "learning_rate": 0.01, "weight_decay": weight_decay}
    )
    ours = build_optimizer(training)
    plain = getattr(keras.optimizers, type(ours).__name__.removeprefix("Flat"), None)
    plain = (
        plain
        or {"FlatRmsProp": keras.optimizers.RMSprop, "FlatSgd": keras.optimizers.SGD}[
            type(ours).__name__
        ]
    )
    theirs = plain.from_config(ours.get_config())
    for one, other in zip(weights_after(ours), weights_after(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)
    assert len(ours.variables) < len(theirs.variables)
