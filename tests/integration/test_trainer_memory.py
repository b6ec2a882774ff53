"""A trainer whose library finds no memory, made up: no test shall really use it up."""

import pytest

from commons.errors import JobFailedError
from commons.training import Budget
from tests.integration.test_trainer_words import EXAMPLES, GENOME

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class ResourceExhaustedError(Exception):
    """What TensorFlow calls it."""


class JaxRuntimeError(RuntimeError):
    """What JAX calls everything."""


ERRORS = [
    ResourceExhaustedError("OOM when allocating a tensor\n[[node]]"),
    JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nBuffers:"),
    RuntimeError("Exception encountered when calling it.\n\nRESOURCE_EXHAUSTED: Out of memory"),
]


def train_failing(monkeypatch: pytest.MonkeyPatch, where: str, error: Exception) -> None:
    """Train with a parent, and meet an error in one of the steps of it."""
    import trainer.training  # noqa: PLC0415 - imports TensorFlow
    from trainer.beginning import Beginning, Parent  # noqa: PLC0415

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(trainer.training, where, fail)
    beginning = Beginning(parent=Parent(GENOME, {}))
    budget = Budget(epochs=1, seconds=None)
    trainer.training.train(GENOME, EXAMPLES, 3, budget, 0, lambda _: None, beginning=beginning)


@pytest.mark.parametrize(
    "where", ["network_of", "take_over", "compile_network", "Loop", "predict", "_epochs"]
)
@pytest.mark.parametrize("error", ERRORS, ids=["TensorFlow", "JAX", "Keras"])
def test_no_memory_is_told_apart_from_other_errors_wherever_it_is_met(
    monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    with pytest.raises(JobFailedError) as caught:
        train_failing(monkeypatch, where, error)
    assert caught.value.outcome == "out-of-memory"
    assert "exhausted" in caught.value.reason.replace("_", "").lower()
    assert "\n" not in caught.value.reason


def test_what_has_nothing_to_do_with_memory_stays_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValueError, match="no such layer"):
        train_failing(monkeypatch, "network_of", ValueError("no such layer"))
