"""Training on JAX; what leaves the trainer is made on TensorFlow. In a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None, reason="JAX is not installed: pip install jax"
    ),
]

# Trains, climbs, inherits, exports and measures; prints what came of it.
CHILD = """
import json, sys
from pathlib import Path
import keras, numpy as np
from tests.integration import test_trainer_words as words
from commons.adapters.file_blobs import FileBlobs
from commons.training import ExportJob, InheritedWeights, LatencyJob
from commons.jobs import JobContext
import trainer.job
folder = Path(sys.argv[1])
blobs = FileBlobs(folder / "blobs")
data = words.job().data
place = folder / "cache" / f"{data.snapshot[:32]}-8x8x1-{data.resize}"
place.mkdir(parents=True)
for name, part in (("train", words.EXAMPLES.train), ("validation", words.EXAMPLES.validation)):
    np.save(place / f"{name}-images.npy", part.images)
    np.save(place / f"{name}-labels.npy", part.labels)
numbers = {"mean": words.EXAMPLES.mean, "deviation": words.EXAMPLES.deviation}
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


def test_a_worker_on_jax_trains_and_its_files_come_from_tensorflow(tmp_path: Path) -> None:
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    backend, high, born, card, latency, stored = json.loads(done.stdout.splitlines()[-1])
    assert backend == "jax"
    assert high["resumed"]
    assert high["accuracy"] > 0.7
    assert born["inherited_share"] > 0.2
    assert card["metrics"]["validation_accuracy"] == pytest.approx(high["accuracy"], abs=0.02)
    assert card["metrics"]["onnx_difference"] <= 1e-3
    assert latency["latency_us"] > 0
    assert stored
