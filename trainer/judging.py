"""How good a network is on images: what it says of them, and how right that is."""

import keras
import numpy as np
import numpy.typing as npt

# Images that are predicted at once.
PREDICT_BATCH = 512


def predict(
    network: keras.Model, images: npt.NDArray[np.uint8], *, mirror: bool
) -> npt.NDArray[np.float32]:
    """Return the probabilities (n, categories) for uint8 images (n, height, width, channels).

    With `mirror` they are the mean over each image and its mirror image.
    """
    if mirror:
        views = (images, images[:, :, ::-1])
        mean: npt.NDArray[np.float32] = np.mean(
            [_probabilities(network, view) for view in views], axis=0
        )
        return mean
    return _probabilities(network, images)


def _probabilities(network: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    size = min(PREDICT_BATCH, len(images))
    answers = []
    for start in range(0, len(images), size):
        # Batches of one size, the last one overlapping: another size would be traced anew.
        first = min(start, len(images) - size)
        batch = images[first : first + size].astype(np.float32)
        answers.append(np.asarray(network.predict_on_batch(batch))[start - first :])
    logits = np.concatenate(answers).astype(np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: npt.NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return result


def judge(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy (nats) of probabilities (n, categories)."""
    right = probabilities[np.arange(len(labels)), labels]
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    return accuracy, float(-np.log(np.maximum(right, 1e-7)).mean())
