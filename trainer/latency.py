"""How fast a network answers for one image: its ONNX file, on one thread."""

import os
import time
from pathlib import Path

import numpy as np
import onnxruntime
from filelock import FileLock

from commons.adapters.machine import cpu_model
from commons.training import LatencyJob, LatencyResult
from trainer.adapters.keras_network import build_network, with_probabilities
from trainer.export import onnx_bytes

_WARM_UP = 20
_LEAST_RUNS, _MOST_RUNS = 100, 5000
_ENOUGH_S = 0.3
# What else the machine does can only make an answer slower, so the fast ones tell most.
_QUANTILE = 0.1


def measure(job: LatencyJob) -> LatencyResult:
    """Return how long a genome takes to answer, a low quantile of many answers.

    The weights are drawn afresh: they do not matter for it. It waits for its turn: two
    measurements of one user on one machine are never made at the same time.
    """
    height, width, channels = job.shape
    network = build_network(
        job.genome, job.shape, job.categories, (127.0,) * channels, (60.0,) * channels
    )
    published = with_probabilities(network, mirror=job.genome.mirror)
    pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, channels))
    image = pixels.astype(np.float32)
    # Keras exports only what has been called.
    published.predict_on_batch(image)
    onnx = onnx_bytes(published)
    with FileLock(_lock_file()):
        return LatencyResult(latency_us=1e6 * _seconds(onnx, image), cpu=cpu_model())


def _seconds(onnx: bytes, image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: image}
    took: list[float] = []
    until = time.perf_counter() + _ENOUGH_S
    for number in range(_WARM_UP + _MOST_RUNS):
        started = time.perf_counter()
        session.run(None, feeds)
        ended = time.perf_counter()
        took.append(ended - started)
        if ended > until and number >= _WARM_UP + _LEAST_RUNS:
            break
    return float(np.quantile(took[_WARM_UP:], _QUANTILE))


def _lock_file() -> Path:
    """Return a file that all workers of this user here agree on, whatever folders they have."""
    # Not the temporary folder of the process: each engine has its own.
    return Path("/tmp") / f"dicebox-latency-{os.getuid()}.lock"  # noqa: S108 - holds nothing
