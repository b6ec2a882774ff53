"""One process that trains candidates on made-up images, and says in JSON how fast.

`benchmarks.training` starts it: `training_cell GENOME PRECISION NORM THREADS SECONDS`.
"""

import json
import os
import sys
import time
from collections.abc import Callable

from commons.genome import Augmentation, Convolution, Genome, Pooling, Training
from commons.messages import ImageShape
from commons.training import Budget, TrainProgress

_CATEGORIES = 10
_BATCHES = 4
_CANDIDATES = 3


def _stages(*widths: int, separable: bool = False, activation: str = "relu") -> Genome:
    features: tuple[Convolution | Pooling, ...] = ()
    for width in widths:
        facts = {"filters": width, "kernel": 3, "activation": activation}
        first = Convolution.model_validate(facts)
        second = Convolution.model_validate({**facts, "separable": separable})
        features = (*features, first, Pooling(), second)
    return Genome(features=features, head="max")


def _with(genome: Genome, batch_size: int, optimizer: str, *, flip: bool = False) -> Genome:
    training = Training.model_validate(
        {
            "optimizer": optimizer,
            "learning_rate": 0.003,
            "batch_size": batch_size,
            "weight_decay": 1e-3,
            "label_smoothing": 0.1,
            "augmentation": Augmentation(shift=0.07, flip=flip),
        }
    )
    return genome.model_copy(update={"training": training})


GENOMES: dict[str, tuple[ImageShape, Genome]] = {
    "8x8x1, 16 32": ((8, 8, 1), _with(_stages(16, 32), 32, "adam")),
    "28x28x1, 16 32 48": ((28, 28, 1), _with(_stages(16, 32, 48), 128, "sgd")),
    "28x28x1, separable": ((28, 28, 1), _with(_stages(24, 48, 64, separable=True), 128, "adam")),
    "32x32x3, 32 64 128": ((32, 32, 3), _with(_stages(32, 64, 128), 256, "sgd", flip=True)),
    "32x32x3, silu": (
        (32, 32, 3),
        _with(_stages(32, 64, 128, activation="silu"), 256, "sgd", flip=True),
    ),
}


def measure(genome: Genome, shape: ImageShape, seconds: float) -> dict[str, float]:
    """Return images a second by the wall and by the processor, and what else a candidate takes.

    One that only warms the process up is left out. Of the others the fastest counts.
    """
    import keras  # noqa: PLC0415 - slow, and only after the environment says how many threads
    import numpy as np  # noqa: PLC0415

    from trainer.examples import Examples, Part, pixel_statistics  # noqa: PLC0415
    from trainer.job import _forget_networks, _settle  # noqa: PLC0415
    from trainer.training import train  # noqa: PLC0415

    rng = np.random.default_rng(0)

    def part(n: int) -> Part:
        images = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        return Part(images, rng.integers(0, _CATEGORIES, n))

    size = genome.training.batch_size * _BATCHES
    images = part(size)
    examples = Examples(images, part(100), *pixel_statistics(images.images))
    _settle()
    cells = []
    whole_epochs = 3
    for number in range(_CANDIDATES):
        budget = Budget(epochs=whole_epochs)
        walls, cpus = _Watch(time.monotonic), _Watch(time.process_time)

        def look(_: TrainProgress, watches: tuple[_Watch, ...] = (walls, cpus)) -> None:
            for watch in watches:
                watch.look()

        trained = train(genome, examples, _CATEGORIES, budget, 0, look)
        built, looped = trained.build_seconds, trained.history[-1].seconds
        epochs = whole_epochs - 1
        del trained
        _forget_networks()
        if number == 0:
            whole_epochs = 1 + max(2, round(seconds * epochs / walls.between))
        else:
            cells.append(
                {
                    "images_per_s": size * epochs / walls.between,
                    "images_per_cpu_s": size * epochs / cpus.between,
                    "build_s": built,
                    "outside_s": max(0.0, walls.so_far - built - looped),
                    "outside_cpu_s": cpus.so_far - cpus.between,
                }
            )
    assert keras.backend.backend() == "tensorflow"  # noqa: S101 - what the figures are of
    best = {name: max(cell[name] for cell in cells) for name in cells[0] if name.startswith("im")}
    rest = {name: min(cell[name] for cell in cells) for name in cells[0] if name not in best}
    return {**best, **rest}


class _Watch:
    """A clock: `between` the first and the last time that it was looked at, and `so_far`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self._looks: list[float] = []

    def look(self) -> None:
        self._looks.append(self._clock())

    @property
    def between(self) -> float:
        return self._looks[-1] - self._looks[0]

    @property
    def so_far(self) -> float:
        return self._clock() - self._started


def main() -> None:
    """Measure what the arguments say."""
    name, precision, norm, threads, seconds = sys.argv[1:]
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[variable] = threads
    os.environ |= {
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "DICEBOX_PRECISION": precision,
    }
    if norm == "keras":
        import keras  # noqa: PLC0415

        from trainer import training  # noqa: PLC0415

        vars(training)["training_norm"] = lambda: keras.layers.BatchNormalization
    shape, genome = GENOMES[name]
    print(json.dumps(measure(genome, shape, float(seconds))))


if __name__ == "__main__":
    main()
