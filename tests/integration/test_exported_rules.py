"""What the trainer exports, with the real Keras, is taken in by the rules of the gallery."""

import os
from typing import get_args

import numpy as np
import pytest

from classification_service.adapters.onnx_proof import prove_onnx
from classification_service.archive_rules import keras_fault, npz_fault
from classification_service.onnx_rules import onnx_fault
from commons.genome import Activation, Convolution, Dense, Dropout, Genome, Head, Pooling

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHAPE = (16, 16, 3)

pytestmark = [
    pytest.mark.integration,
    # What the libraries say of each other while they are imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
]


def genome(head: Head, *, mirror: bool) -> Genome:
    """Return one with every kind of gene, and every activation somewhere."""
    each = [
        Convolution(filters=3, kernel=3, activation=activation, norm=place % 2 == 0)
        for place, activation in enumerate(get_args(Activation))
    ]
    others = [
        Convolution(filters=4, kernel=3, stride=2, residual=True),
        Convolution(filters=4, kernel=5, separable=True, residual=True),
        Pooling(kind="max"),
        Convolution(filters=3, kernel=1),
        Pooling(kind="max", size=3),
        Pooling(kind="average"),
        Dropout(rate=0.2),
    ]
    classifier = [Dense(units=5, norm=True, activation="softmax"), Dropout(rate=0.1)]
    return Genome(features=(*each, *others), head=head, classifier=tuple(classifier), mirror=mirror)


@pytest.mark.parametrize(("head", "mirror"), [("average", True), ("flatten", False)])
def test_every_network_that_can_be_bred_is_taken_in(head: Head, mirror: bool) -> None:
    import trainer.export as exporting  # noqa: PLC0415 - imports TensorFlow
    from trainer.adapters.keras_network import build_network, with_probabilities  # noqa: PLC0415
    from trainer.adapters.named_weights import arrays_of  # noqa: PLC0415
    from trainer.weights import weights_to_bytes  # noqa: PLC0415

    deviations = (60.0, 61.0, 62.0)
    network = build_network(genome(head, mirror=mirror), SHAPE, 4, (9.0, 8.0, 7.0), deviations)
    published = with_probabilities(network, mirror=mirror)
    published.predict_on_batch(np.zeros((1, *SHAPE), np.float32))
    onnx = exporting.onnx_bytes(published)
    assert onnx_fault(onnx) is None
    prove_onnx(onnx, SHAPE)
    assert keras_fault(exporting._keras_bytes(published)) is None
    assert npz_fault(weights_to_bytes(arrays_of(network))) is None


def test_a_keras_file_with_a_lambda_is_refused() -> None:
    import keras  # noqa: PLC0415 - imports TensorFlow

    import trainer.export as exporting  # noqa: PLC0415

    pixels = keras.Input((4,))
    doubled = keras.layers.Lambda(lambda values: values * 2.0)(pixels)
    assert "code: 'Lambda'" in str(
        keras_fault(exporting._keras_bytes(keras.Model(pixels, doubled)))
    )


def test_a_keras_file_with_somebodys_own_layer_is_refused() -> None:
    import keras  # noqa: PLC0415 - imports TensorFlow

    import trainer.export as exporting  # noqa: PLC0415

    @keras.saving.register_keras_serializable(package="mine")
    class Doubled(keras.layers.Layer):
        def call(self, values):
            return values * 2.0

    pixels = keras.Input((4,))
    reason = keras_fault(exporting._keras_bytes(keras.Model(pixels, Doubled()(pixels))))
    assert "somebody's own: 'mine>Doubled'" in str(reason)
