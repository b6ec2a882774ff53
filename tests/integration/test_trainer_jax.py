"""Training on JAX; what leaves the trainer is made on TensorFlow. In a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

# Trains, climbs, inherits, exports and measures, its images where an accelerator would have them;
# prints what came of it.
CHILD = """
import json, sys
from pathlib import Path
import keras, numpy as np
from tests.integration import test_trainer_words as words
from commons.adapters.file_blobs import FileBlobs
from commons.training import ExportJob, InheritedWeights, LatencyJob
from commons.jobs import JobContext
import trainer.job
from trainer.adapters.cache_check import hashes_of
folder = Path(sys.argv[1])
blobs = FileBlobs(folder / "blobs")
data = words.job().data
place = folder / "cache" / f"{data.snapshot[:32]}-8x8x1-{data.resize}"
place.mkdir(parents=True)
for name, part in (("train", words.EXAMPLES.train), ("validation", words.EXAMPLES.validation)):
    np.save(place / f"{name}-images.npy", part.images)
    np.save(place / f"{name}-labels.npy", part.labels)
numbers = {"mean": words.EXAMPLES.mean, "deviation": words.EXAMPLES.deviation}
numbers["sha256"] = hashes_of(place)
(place / "statistics.json").write_text(json.dumps(numbers))
def context(name):
    return JobContext(name, blobs, folder / "cache", lambda _: None)
def train(name, **facts):
    return trainer.job.train(words.job(**facts).model_dump(mode="json"), context(name))
low = train("run/1/1", epochs=3, leave_checkpoint=True)
high = train("run/1/2", epochs=8, start=low["checkpoint"])
parent = InheritedWeights(genome=words.GENOME, weights=high["weights"])
born = train("run/2/1", epochs=1, genome=words.WIDER, inherit=parent)
export = ExportJob(genome=words.GENOME, weights=high["weights"], data=data, dataset="bars",
    categories=[{"id": f"c{n}", "name": str(n)} for n in range(3)])
card = trainer.job.export(export.model_dump(mode="json"), context("run/export"))["card"]
latency = trainer.job.measure(
    LatencyJob(genome=words.GENOME, shape=(8, 8, 1), categories=3).model_dump(mode="json"),
    context("run/1/latency"))
print(json.dumps([keras.backend.backend(), high, born, card, latency,
    all(blobs.exists(card[each]["blob"]) for each in ("weights", "keras", "onnx"))]))
"""


# Takes the same steps by `train_on_batch` and as the trainer does; prints how far apart they end.
STEPS = """
import json
import keras, numpy as np
from tests.integration import test_trainer_words as words
from commons.genome import Convolution, Dropout, Genome
from trainer.adapters.keras_network import compile_network, network_of
from trainer.adapters.steps import JaxSteps, steps_of
GENOME = Genome(features=(Convolution(filters=4, kernel=3),), classifier=(Dropout(rate=0.2),))
part = words.EXAMPLES.train
images = [part.images[n : n + 16].astype("float32") for n in (0, 16, 32, 48)]
labels = [np.eye(3, dtype="float32")[part.labels[n : n + 16]] for n in (0, 16, 32, 48)]
rates = (0.01, 0.02, 0.005, 0.001)
def trained(take, network):
    for rate, *batch in zip(rates, images, labels):
        network.optimizer.learning_rate = rate
        take(*batch)
def network():
    keras.utils.set_random_seed(3)
    built = network_of(GENOME, words.EXAMPLES, 3)
    compile_network(built, GENOME.training)
    return built
theirs, ours = network(), network()
losses = []
trained(lambda *batch: losses.append(float(theirs.train_on_batch(*batch))), theirs)
steps = steps_of(ours)
before = [np.asarray(each.value) for each in ours.trainable_variables]
trained(steps.take, ours)
loss = steps.loss()
steps.settle()
trained(theirs.train_on_batch, theirs)
trained(steps.take, ours)
steps.settle()
def apart(a, b):
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in zip(a, b))
print(json.dumps([isinstance(steps, JaxSteps), loss, losses[-1],
    apart(theirs.variables, ours.variables),
    apart(theirs.optimizer.variables, ours.optimizer.variables),
    apart(before, ours.trainable_variables)]))
"""
# Makes batches both ways; prints how far apart they are at most, for each kind of change.
BATCHES = """
import json
from tests.resident_batches import differences
print(json.dumps(differences()))
"""


def on_jax(code: str, *arguments: str) -> Any:
    """Return what a program printed last, as JSON."""
    chosen = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "DICEBOX_RESIDENT": "yes"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_steps_that_nobody_waits_for_end_where_those_of_keras_do() -> None:
    is_ours, loss, theirs, weights, moments, moved = on_jax(STEPS)
    assert is_ours
    # Keras says the mean since its metrics were reset, which it does at every step.
    assert loss == pytest.approx(theirs, abs=0.5)
    assert weights < 1e-4
    assert moments < 1e-3
    assert moved > 1e-3


def test_batches_made_on_the_device_are_those_that_numpy_makes() -> None:
    for kind, difference in on_jax(BATCHES).items():
        assert difference < 0.05, kind


def test_a_worker_on_jax_trains_and_its_files_come_from_tensorflow(tmp_path: Path) -> None:
    backend, high, born, card, latency, stored = on_jax(CHILD, str(tmp_path))
    assert backend == "jax"
    assert high["resumed"]
    assert high["accuracy"] > 0.7
    assert born["inherited_share"] > 0.2
    assert card["metrics"]["validation_accuracy"] == pytest.approx(high["accuracy"], abs=0.02)
    assert card["metrics"]["onnx_difference"] <= 1e-3
    assert latency["latency_us"] > 0
    assert stored
