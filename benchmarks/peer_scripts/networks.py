"""The space that KerasTuner and Optuna search: small convolutional networks, in Keras.

The same function builds a network from either library's choices, so both search one space. It
is what their own guides and the usual tutorials for MNIST and CIFAR-10 show:

- one to three blocks of one or two convolutions and a max pooling, 16 to 128 filters, kernels of
  3 or 5, with batch normalization or without, dropout after each block;
- a flattened or averaged head with one dense layer and dropout;
- Adam, or SGD with Nesterov momentum, its learning rate on a logarithmic scale;
- batches of 32, 64 or 128: 32 is what the guides use, the larger ones let a processor with two
  cores have more epochs, and the library may find out which of them pays;
- a random flip inside the network, on or off, where a mirrored image keeps its category: only
  then the caller allows it.

Nothing of Dicebox's own recipe (schedules, label smoothing, residuals) is in it, and nothing
that the guides have is left out.
"""

from collections.abc import Sequence
from typing import Any, Protocol, cast

import keras
import numpy as np
import numpy.typing as npt
from race import Asked, Examples, Race  # type: ignore[import-not-found]

BATCHES = (32, 64, 128)
# A training that does not get better for so many epochs ends, as the libraries' guides have it.
PATIENCE = 5
_SMALLEST = 2  # pixels a side that can still be pooled
_ANSWERED_AT_ONCE = 500


class Choices(Protocol):
    """How a network's description is drawn: KerasTuner and Optuna each have their words."""

    def whole(self, name: str, low: int, high: int) -> int:
        """Return a whole number, both ends included."""

    def one_of(self, name: str, values: Sequence[Any]) -> Any:
        """Return one of some values."""

    def share(self, name: str, low: float, high: float) -> float:
        """Return a number between two."""

    def scale(self, name: str, low: float, high: float) -> float:
        """Return a number between two on a logarithmic scale."""


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells a race of every batch and epoch of every network."""

    def __init__(self, race: Race) -> None:
        super().__init__()
        self._race = race

    def __deepcopy__(self, _: object) -> "Watch":
        """Return itself: KerasTuner copies its callbacks for every network, the race is one."""
        return self

    def on_train_begin(self, logs: object = None) -> None:
        """Count a training."""
        self._race.check()
        self._race.networks += 1

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Go on, or not."""
        self._race.check()

    def on_test_batch_end(self, batch: int, logs: object = None) -> None:
        """Go on, or not."""
        self._race.check()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Show the network to the race."""
        model = self.model
        accuracy = float((logs or {})["val_accuracy"])
        self._race.saw(accuracy, lambda: (model, model.get_weights()))


def build(choices: Choices, examples: Examples, flip: bool) -> Any:
    """Return a compiled network as the choices describe it."""
    layers = keras.layers
    inputs = keras.Input(examples.shape)
    x = layers.Rescaling(1 / 255)(inputs)
    if flip and choices.one_of("flip", [True, False]):
        x = layers.RandomFlip("horizontal")(x)
    normed = choices.one_of("batch_norm", [True, False])
    for block in range(choices.whole("blocks", 1, 3)):
        filters = choices.one_of(f"filters_{block}", [16, 32, 64, 128])
        kernel = choices.one_of(f"kernel_{block}", [3, 5])
        for _ in range(choices.whole(f"convolutions_{block}", 1, 2)):
            x = layers.Conv2D(filters, kernel, padding="same", use_bias=not normed)(x)
            if normed:
                x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
        if min(x.shape[1:3]) >= _SMALLEST:
            x = layers.MaxPooling2D()(x)
        x = layers.Dropout(choices.share(f"dropout_{block}", 0.0, 0.5))(x)
    averaged = choices.one_of("head", ["flatten", "average"]) == "average"
    x = (layers.GlobalAveragePooling2D() if averaged else layers.Flatten())(x)
    x = layers.Dense(choices.one_of("dense", [64, 128, 256]), activation="relu")(x)
    x = layers.Dropout(choices.share("dropout", 0.0, 0.5))(x)
    outputs = layers.Dense(examples.categories, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    rate = choices.scale("learning_rate", 1e-4, 1e-2)
    if choices.one_of("optimizer", ["adam", "sgd"]) == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def stopping() -> Any:
    """Return the callback that ends a training which gets no better."""
    return keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE)


def note_failures(race: Race, tuner: Any) -> None:
    """Tell a race of the networks that a tuner of KerasTuner, or of AutoKeras, lost."""
    for trial in tuner.oracle.trials.values():
        if trial.message:
            race.note(trial.message)


def answer(kept: tuple[Any, Any], images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the category of each image by a network as it was when it was kept."""
    model, weights = kept
    model.set_weights(weights)
    said = model.predict(images, batch_size=_ANSWERED_AT_ONCE, verbose=0)
    return cast("npt.NDArray[np.int64]", np.argmax(said, axis=-1))


def seed_all(asked: Asked) -> None:
    """Make Python's, NumPy's and Keras' random numbers those of the seed."""
    keras.utils.set_random_seed(asked.seed)
