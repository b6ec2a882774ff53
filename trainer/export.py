"""Makes the files of a network: weights, `.keras`, ONNX, and the card that describes them.

ONNX is converted here, where the network was built, and never from a file: loading a
`.keras` file can run code.
"""

import hashlib
import importlib.metadata
import platform
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import onnxruntime

from commons.adapters.decode import DECODER
from commons.errors import JobFailedError
from commons.genome import genome_hash
from commons.network_card import (
    Metrics,
    NetworkCard,
    NetworkFile,
    Preprocessing,
    network_blob,
)
from commons.ports import Blobs
from commons.training import ExportJob
from trainer.adapters.keras_network import network_of, with_probabilities
from trainer.examples import Examples
from trainer.judging import judge, predict
from trainer.weights import weights_from_bytes

_TOLERANCE = 1e-3
_COMPARED = 512
_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "jax", "onnx", "onnxruntime", "numpy")


def export(job: ExportJob, examples: Examples, blobs: Blobs, now: float) -> NetworkCard:
    """Store the files of a trained network and return its card.

    Raises:
        JobFailedError: `error`: the ONNX file does not answer as Keras does.
    """
    weights = blobs.get(job.weights)
    network = network_of(job.genome, examples, len(job.categories))
    network.set_weights(list(weights_from_bytes(weights).values()))
    published = with_probabilities(network, mirror=job.genome.mirror)
    compared = examples.validation.images[:_COMPARED].astype(np.float32)
    # Keras exports only what has been called.
    expected = np.asarray(published.predict_on_batch(compared))
    onnx = onnx_bytes(published)
    difference = _largest_difference(onnx, compared, expected)
    if not difference <= _TOLERANCE:
        raise JobFailedError(
            "error",
            f"the ONNX file differs from Keras by {difference:.2g} in a probability, "
            f"expected at most {_TOLERANCE:g}",
        )
    said = predict(network, examples.validation.images, mirror=job.genome.mirror)
    accuracy, loss = judge(said, examples.validation.labels)
    return NetworkCard(
        dataset=job.dataset,
        snapshot=job.data.snapshot,
        categories=job.categories,
        genome=job.genome,
        genome_hash=genome_hash(job.genome),
        preprocessing=Preprocessing(shape=job.data.shape, resize=job.data.resize, decoder=DECODER),
        metrics=Metrics(
            validation_accuracy=accuracy,
            validation_loss=loss,
            validation_images=len(examples.validation.labels),
            train_images=len(examples.train.labels),
            parameters=network.count_params(),
            onnx_difference=difference,
        ),
        weights=_store(blobs, weights, "npz"),
        keras=_store(blobs, _keras_bytes(published), "keras"),
        onnx=_store(blobs, onnx, "onnx"),
        run=job.run,
        individual=job.individual,
        created=now,
        versions=_versions(),
    )


def _store(blobs: Blobs, data: bytes, ending: str) -> NetworkFile:
    sha256 = hashlib.sha256(data).hexdigest()
    name = network_blob(f"{sha256}.{ending}")
    blobs.put(name, data)
    return NetworkFile(blob=name, sha256=sha256, bytes=len(data))


def _keras_bytes(network: keras.Model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.keras"
        network.save(file)
        return file.read_bytes()


def onnx_bytes(network: keras.Model) -> bytes:
    """Return the ONNX file of a network that has been called."""
    import trainer.adapters.onnx_operators  # noqa: F401, PLC0415 - for its effect, and slow

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        with warnings.catch_warnings():
            # Keras looks whether numpy still has an old name that tf2onnx wants.
            warnings.simplefilter("ignore", FutureWarning)
            network.export(file, format="onnx", verbose=False)
        return file.read_bytes()


def _largest_difference(
    onnx: bytes, images: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]
) -> float:
    """Return the largest difference of a probability between ONNX Runtime and Keras."""
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return float(np.abs(session.run(None, {name: images})[0] - expected).max())


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
