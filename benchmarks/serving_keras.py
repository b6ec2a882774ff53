"""`python -m benchmarks.serving_keras FOLDER HxWxC 8,16`: the files of a plain network.

In a process of its own: whoever measures a server must not hold TensorFlow beside it.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from commons.training import shape_from_text
from trainer.export import onnx_bytes

_CATEGORIES = 10


def main(folder: Path, shape: tuple[int, int, int], widths: list[int]) -> None:
    """Write `network.keras`, `network.onnx` and `network.npz` of an untrained network."""
    keras.utils.set_random_seed(0)
    images = keras.Input(shape)
    features = keras.layers.Rescaling(1 / 255)(images)
    for width in widths:
        features = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(features)
        features = keras.layers.MaxPooling2D()(features)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    network = keras.Model(images, keras.layers.Dense(_CATEGORIES, "softmax")(pooled))
    network.predict_on_batch(np.zeros((1, *shape), np.float32))
    network.save(folder / "network.keras")
    np.savez(folder / "network.npz", *network.get_weights())
    # Last: whoever finds it finds the others.
    (folder / "network.onnx").write_bytes(onnx_bytes(network))


if __name__ == "__main__":
    main(Path(sys.argv[1]), shape_from_text(sys.argv[2]), [int(w) for w in sys.argv[3].split(",")])
