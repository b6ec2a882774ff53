"""Optuna with its TPE sampler and its Hyperband pruner, as its documentation pairs them.

- The network reports its validation accuracy after each epoch and asks whether it is pruned, as
  the pruning tutorial does; the brackets are made for `max_resource` epochs.
- Optuna's own `timeout` ends a search between two networks; the race ends it within one.
- A network that does not fit into memory is a failed trial, not the end.
"""

from collections.abc import Sequence
from typing import Any

import keras
import optuna  # type: ignore[import-not-found]
from networks import (  # type: ignore[import-not-found]
    BATCHES,
    Watch,
    answer,
    build,
    seed_all,
    stopping,
)
from race import Asked, Examples, Race, main  # type: ignore[import-not-found]

_FACTOR = 3


class Choices:
    """Optuna's suggestions in the words of the space."""

    def __init__(self, trial: Any) -> None:
        self._trial = trial

    def whole(self, name: str, low: int, high: int) -> Any:
        """Return a whole number, both ends included."""
        return self._trial.suggest_int(name, low, high)

    def one_of(self, name: str, values: Sequence[Any]) -> Any:
        """Return one of some values."""
        return self._trial.suggest_categorical(name, list(values))

    def share(self, name: str, low: float, high: float) -> Any:
        """Return a number between two."""
        return self._trial.suggest_float(name, low, high)

    def scale(self, name: str, low: float, high: float) -> Any:
        """Return a number between two on a logarithmic scale."""
        return self._trial.suggest_float(name, low, high, log=True)


class Pruning(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports every epoch to the trial, and ends the training that the pruner gives up."""

    def __init__(self, trial: Any) -> None:
        super().__init__()
        self._trial = trial

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Report, and ask."""
        self._trial.report(float((logs or {})["val_accuracy"]), epoch + 1)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def search(race: Race, examples: Examples, asked: Asked) -> None:
    """Search until the time is up."""
    seed_all(asked)

    def noted(trial: Any) -> float:
        try:
            return objective(trial)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            race.note(f"{type(error).__name__}: {error}")
            raise

    def objective(trial: Any) -> float:
        keras.utils.clear_session()
        model = build(Choices(trial), examples, asked.flip)
        history = model.fit(
            examples.train,
            examples.train_labels,
            batch_size=trial.suggest_categorical("batch_size", list(BATCHES)),
            epochs=asked.epochs,
            validation_data=(examples.validation, examples.validation_labels),
            # The race first: an epoch counts even if the pruner ends the training after it.
            callbacks=[Watch(race), stopping(), Pruning(trial)],
            verbose=0,
        )
        return max(map(float, history.history["val_accuracy"]))

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=asked.seed),
        pruner=optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=asked.epochs, reduction_factor=_FACTOR
        ),
    )
    study.optimize(noted, timeout=asked.seconds, catch=(Exception,))


if __name__ == "__main__":
    main(search, answer)
