"""The networks that are served, the image that each is asked about, and a gallery with them."""

import hashlib
import io
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
from PIL import Image

from classification_service.app import Settings, create_service
from commons.adapters.blobs import open_blobs
from commons.adapters.decode import DECODER
from commons.adapters.services import Caller, GalleryClient
from commons.genome import Genome, genome_hash
from commons.messages import Category
from commons.network_card import (
    Metrics,
    NetworkCard,
    NetworkFile,
    Preprocessing,
    network_blob,
)

DATASET = "served"
_RUNS = 30
# Spots of a drawn picture: at least so many a side, each of so many pixels.
_COARSE, _GRAIN = 7, 14


@dataclass(frozen=True)
class Task:
    """An image and the network that is asked about it.

    Args:
        name: As it stands in the tables.
        shape: Of the network's input.
        widths: Filters of its convolutions, each with a pooling behind it.
        image: The file that is sent, and its media type.
    """

    name: str
    shape: tuple[int, int, int]
    widths: tuple[int, ...]
    image: bytes
    media_type: str

    @property
    def shape_text(self) -> str:
        """Return the shape as HxWxC."""
        return "x".join(map(str, self.shape))


def tasks() -> dict[str, Task]:
    """Return the two images of the table, by the words for them."""
    grey = Task(
        "28x28 grey PNG", (28, 28, 1), (8, 16), picture(28, "PNG", colour=False), "image/png"
    )
    colour = Task(
        "224x224 colour JPEG",
        (64, 64, 3),
        (8, 16, 32),
        picture(224, "JPEG", colour=True),
        "image/jpeg",
    )
    return {"png": grey, "jpeg": colour}


def heavy() -> Task:
    """Return a network that costs far more than 5 ms, so that no client is what is measured.

    At 7 ms the client and the refusals together took a seventh of two cores.
    """
    return Task(
        "heavy", (28, 28, 1), (448, 1024, 1024), picture(28, "PNG", colour=False), "image/png"
    )


def files_of(task: Task, work: Path) -> Path:
    """Return the folder with the files of a task's network, made at its first use."""
    name = f"{task.shape_text}-{'-'.join(map(str, task.widths))}"
    folder = work / "serving-networks" / name
    if not (folder / "network.onnx").exists():
        folder.mkdir(parents=True, exist_ok=True)
        widths = ",".join(map(str, task.widths))
        command = [sys.executable, "-m", "benchmarks.serving_keras", str(folder), task.shape_text]
        subprocess.run([*command, widths], check=True, capture_output=True)
    (folder / "image").write_bytes(task.image)
    return folder


def publish(task: Task, files: Path, data: Path, networks: int = 1) -> list[str]:
    """Register a network, or several that differ by their cards, in a data folder.

    The first becomes the champion of `DATASET`.
    """
    blobs = open_blobs(str(data / "blobs"))
    cards = [untrained_card(task, files, blobs.put, created=float(n)) for n in range(networks)]
    service = create_service(Settings(data=data))
    with httpx.Client(
        transport=httpx.WSGITransport(service.app), base_url="http://localhost"
    ) as http:
        gallery = GalleryClient(Caller(http))
        found = [gallery.register(card) for card in cards]
        gallery.promote(DATASET, found[0])
    return found


def inference_s(task: Task, files: Path) -> float:
    """Return the seconds of one inference alone, the median of some."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(files / "network.onnx", options)
    given = {session.get_inputs()[0].name: np.zeros((1, *task.shape), np.float32)}
    took: list[float] = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        session.run(None, given)
        took.append(time.perf_counter() - start)
    return sorted(took)[_RUNS // 2]


def untrained_card(
    task: Task,
    files: Path,
    store: Callable[[str, bytes], object],
    *,
    dataset: str = DATASET,
    created: float = 0.0,
) -> NetworkCard:
    """Return the card of a task's network for ten digits.

    Args:
        task: Says what the network reads.
        files: The folder of `files_of`.
        store: Is given each file of the network with the name of its blob.
        dataset: What the network is said to be bred for.
        created: Seconds since 1970.
    """

    def stored(ending: str) -> NetworkFile:
        content = (files / f"network.{ending}").read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        name = network_blob(f"{sha256}.{ending}")
        store(name, content)
        return NetworkFile(blob=name, sha256=sha256, bytes=len(content))

    genome = Genome()
    return NetworkCard(
        dataset=dataset,
        snapshot="0" * 64,
        categories=[Category(id=f"c{n}", name=str(n)) for n in range(10)],
        genome=genome,
        genome_hash=genome_hash(genome),
        preprocessing=Preprocessing(shape=task.shape, resize="fit", decoder=DECODER),
        metrics=Metrics(
            validation_accuracy=0.1,
            validation_loss=2.3,
            validation_images=1,
            train_images=1,
            parameters=1,
            onnx_difference=0.0,
        ),
        weights=stored("npz"),
        keras=stored("keras"),
        onnx=stored("onnx"),
        created=created,
        versions={},
    )


def picture(side: int, kind: str, *, colour: bool) -> bytes:
    """Return a file of something like a picture: noise that is coarse, and some that is fine."""
    shape = (side, side, 3) if colour else (side, side)
    coarse = max(_COARSE, side // _GRAIN)
    draw = np.random.default_rng(0)
    small = draw.integers(0, 256, (coarse, coarse, *shape[2:]), dtype=np.uint8)
    large = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(large, np.int16) + draw.integers(-8, 9, shape)
    file = io.BytesIO()
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image.save(file, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return file.getvalue()
