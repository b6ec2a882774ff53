"""KerasTuner, as its guides use it: Hyperband or Bayesian optimization over a `HyperModel`.

- The batch size is tuned by overriding `HyperModel.fit`, as "Tune model training" shows.
- Hyperband starts over until the time is up (`hyperband_iterations`): with one iteration it would
  stop early on small images. `max_epochs` is a parameter of the benchmark: the guide's "slightly
  higher than the expected epochs to convergence" for small images, fewer for large ones, of
  which a bracket would else not end in the time there is.
- Bayesian optimization gives every network up to as many epochs, with early stopping.
- Both select by `val_accuracy`, which is what the benchmark selects by.
"""

from collections.abc import Sequence
from typing import Any

import keras_tuner  # type: ignore[import-not-found]
from networks import (  # type: ignore[import-not-found]
    BATCHES,
    Watch,
    answer,
    build,
    note_failures,
    seed_all,
    stopping,
)
from race import Asked, Examples, Race, main  # type: ignore[import-not-found]

_WITHOUT_END = 10_000


class Choices:
    """KerasTuner's hyperparameters in the words of the space."""

    def __init__(self, hp: Any) -> None:
        self._hp = hp

    def whole(self, name: str, low: int, high: int) -> Any:
        """Return a whole number, both ends included."""
        return self._hp.Int(name, low, high)

    def one_of(self, name: str, values: Sequence[Any]) -> Any:
        """Return one of some values."""
        return self._hp.Choice(name, list(values))

    def share(self, name: str, low: float, high: float) -> Any:
        """Return a number between two, in steps: Bayesian optimization has its guide's own."""
        return self._hp.Float(name, low, high, step=0.1)

    def scale(self, name: str, low: float, high: float) -> Any:
        """Return a number between two on a logarithmic scale."""
        return self._hp.Float(name, low, high, sampling="log")


class Networks(keras_tuner.HyperModel):  # type: ignore[misc]
    """The space, with the batch size in it."""

    def __init__(self, examples: Examples, asked: Asked) -> None:
        super().__init__()
        self._examples = examples
        self._flip = asked.flip

    def build(self, hp: Any) -> Any:
        """Return a network."""
        return build(Choices(hp), self._examples, self._flip)

    def fit(self, hp: Any, model: Any, *arguments: Any, **others: Any) -> Any:
        """Train one."""
        batch = hp.Choice("batch_size", list(BATCHES))
        return model.fit(*arguments, batch_size=batch, **others)


def search(race: Race, examples: Examples, asked: Asked) -> None:
    """Search until the time is up."""
    seed_all(asked)
    common: dict[str, Any] = {
        "objective": "val_accuracy",
        "seed": asked.seed,
        "directory": asked.work,
        "overwrite": True,
        # A network that does not build is no reason to give up.
        "max_consecutive_failed_trials": _WITHOUT_END,
    }
    networks = Networks(examples, asked)
    if asked.variant == "hyperband":
        tuner = keras_tuner.Hyperband(
            networks, max_epochs=asked.epochs, hyperband_iterations=_WITHOUT_END, **common
        )
    else:
        tuner = keras_tuner.BayesianOptimization(networks, max_trials=_WITHOUT_END, **common)
    try:
        tuner.search(
            examples.train,
            examples.train_labels,
            epochs=asked.epochs,
            validation_data=(examples.validation, examples.validation_labels),
            callbacks=[stopping(), Watch(race)],
            verbose=0,
        )
    finally:
        note_failures(race, tuner)


if __name__ == "__main__":
    main(search, answer)
