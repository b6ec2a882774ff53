"""Every activation the taxonomy knows, with the real Keras: exported as it is, then forgotten."""

import gc
import os
from typing import get_args

import numpy as np
import pytest

from commons.genome import Activation, Convolution, Genome, Training

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

pytestmark = [
    pytest.mark.integration,
    # What the libraries say of each other while they are imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
]


def genome(activation: str) -> Genome:
    convolution = Convolution(filters=4, kernel=3, activation=activation)
    return Genome(features=(convolution,), head="average", training=Training())


@pytest.mark.parametrize("activation", get_args(Activation))
def test_onnx_answers_as_keras_does(activation: str) -> None:
    import trainer.export as exporting  # noqa: PLC0415 - imports TensorFlow
    from trainer.adapters.keras_network import build_network  # noqa: PLC0415

    network = build_network(genome(activation), (8, 8, 1), 3, (100.0,), (60.0,))
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype(np.float32)
    answers = np.asarray(network.predict_on_batch(images))
    onnx = exporting.onnx_bytes(network)
    assert exporting._largest_difference(onnx, images, answers) < 1e-5


@pytest.mark.parametrize("activation", get_args(Activation))
def test_nothing_is_left_of_a_network_that_was_trained(activation: str) -> None:
    from tensorflow.python.framework.func_graph import FuncGraph  # noqa: PLC0415

    from trainer.adapters.keras_network import build_network, compile_network  # noqa: PLC0415
    from trainer.job import _forget_networks  # noqa: PLC0415

    def graphs() -> int:
        return sum(type(each) is FuncGraph for each in gc.get_objects())

    _forget_networks()
    before = graphs()
    network = build_network(genome(activation), (8, 8, 1), 3, (100.0,), (60.0,))
    compile_network(network, genome(activation).training)
    network.train_on_batch(np.zeros((3, 8, 8, 1), np.float32), np.eye(3, dtype=np.float32))
    del network
    _forget_networks()
    assert graphs() <= before
