"""The measuring of latency with the real Keras and ONNX Runtime."""

import os
import threading
import time
from pathlib import Path

import pytest

from commons.adapters.machine import cpu_model
from commons.genome import Convolution, Genome
from commons.jobs import JobContext
from commons.training import LatencyJob, LatencyResult
from tests.sensory_house import MemoryBlobs

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
]

SMALL = Genome(features=(Convolution(filters=4, kernel=3, stride=2),))
LARGE = Genome(features=(Convolution(filters=48, kernel=5),) * 3, mirror=True)


def measured(genome: Genome, shape: tuple[int, int, int] = (24, 24, 3)) -> LatencyResult:
    from trainer.job import measure  # noqa: PLC0415 - imports TensorFlow

    job = LatencyJob(genome=genome, shape=shape, categories=7)
    context = JobContext("run/1/latency", MemoryBlobs(), Path("unused"), lambda _: None)
    return LatencyResult.model_validate(measure(job.model_dump(mode="json"), context))


def test_a_large_network_is_slower_than_a_small_one_on_the_processor_that_is_named() -> None:
    small, large = measured(SMALL), measured(LARGE)
    assert 0 < small.latency_us < large.latency_us
    assert small.cpu == large.cpu == cpu_model()


def test_an_image_of_one_pixel_has_a_latency() -> None:
    assert measured(SMALL, (1, 1, 1)).latency_us > 0


def test_a_measurement_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from filelock import FileLock  # noqa: PLC0415

    from trainer import latency  # noqa: PLC0415

    monkeypatch.setattr(latency, "_lock_file", lambda: tmp_path / "lock")
    ended: list[float] = []
    with FileLock(tmp_path / "lock"):
        thread = threading.Thread(target=lambda: (measured(SMALL), ended.append(time.monotonic())))
        thread.start()
        thread.join(3.0)
        assert thread.is_alive()
        freed = time.monotonic()
    thread.join(120.0)
    assert len(ended) == 1
    assert ended[0] >= freed
