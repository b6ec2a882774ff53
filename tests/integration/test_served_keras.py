"""A thousand images of all kinds: what is served is what the trained network says in Keras."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from classification_service.app import Settings, create_service
from commons.adapters.decode import decode_image
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import Caller, GalleryClient
from commons.genome import Convolution, Genome, Pooling
from commons.messages import Category, ResizePolicy
from commons.network_card import NetworkCard
from commons.training import ExportJob, TrainingData
from tests.serving_processes import serving
from trainer.examples import Examples, Part, pixel_statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["DICEBOX_PRECISION"] = "float32"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras"),
]

GENOME = Genome(features=(Convolution(filters=8, kernel=3), Pooling(size=2)), head="flatten")
KINDS: dict[str, tuple[tuple[int, int, int], ResizePolicy]] = {
    "grey": ((28, 28, 1), "fit"),
    "colour": ((40, 32, 3), "pad"),
}
FORMATS = ("PNG", "JPEG", "WEBP")
MODES = {"PNG": ("L", "LA", "RGB", "RGBA", "P"), "JPEG": ("L", "RGB"), "WEBP": ("RGB", "RGBA")}
_LARGEST = 900
_ORIENTATION = 0x0112


def published(
    shape: tuple[int, int, int], resize: ResizePolicy, dataset: str, blobs: FileBlobs
) -> tuple[NetworkCard, Any]:
    """Return the card of a network with weights drawn at random, and the network itself."""
    from trainer.adapters.keras_network import network_of, with_probabilities  # noqa: PLC0415
    from trainer.adapters.named_weights import arrays_of  # noqa: PLC0415
    from trainer.export import export  # noqa: PLC0415
    from trainer.weights import weights_to_bytes  # noqa: PLC0415

    rng = np.random.default_rng(3)
    part = Part(
        rng.integers(0, 256, (32, *shape)).astype(np.uint8),
        rng.integers(0, 10, 32).astype(np.int64),
    )
    examples = Examples(part, part, *pixel_statistics(part.images))
    network = network_of(GENOME, examples, 10)
    # Not larger: a logit of hundreds has no room for an error of 1e-4 in float32.
    network.set_weights([0.05 * rng.normal(size=w.shape) ** 2 + w for w in network.get_weights()])
    blobs.put(f"weights/{dataset}.npz", weights_to_bytes(arrays_of(network)))
    job = ExportJob(
        genome=GENOME,
        weights=f"weights/{dataset}.npz",
        data=TrainingData(
            sensory_url="http://house", snapshot="a" * 64, shape=shape, resize=resize
        ),
        dataset=dataset,
        categories=[Category(id=f"c{n}", name=str(n)) for n in range(10)],
    )
    return export(job, examples, blobs, now=1.0), with_probabilities(network, mirror=False)


def drawn(rng: np.random.Generator, number: int) -> bytes:
    """Return a picture: its format, mode, size and orientation follow from the number."""
    form = FORMATS[number % len(FORMATS)]
    mode = MODES[form][number % len(MODES[form])]
    height, width = np.exp(rng.uniform(0, np.log(_LARGEST), 2)).astype(int)
    coarse = rng.integers(0, 256, (min(height, 9), min(width, 9), 4), dtype=np.uint8)
    image = Image.fromarray(coarse, "RGBA").resize((width, height)).convert(mode)
    exif = Image.Exif()
    exif[_ORIENTATION] = number % 8 + 1
    file = io.BytesIO()
    quality = {} if form == "PNG" else {"quality": int(rng.integers(40, 96))}
    image.save(file, form, exif=exif, **quality)
    return file.getvalue()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the address of a service with a champion of each kind, and the same in Keras."""
    data: Path = tmp_path_factory.mktemp("served")
    blobs = FileBlobs(data / "blobs")
    networks: dict[str, Any] = {}
    transport = httpx.WSGITransport(create_service(Settings(data=data)).app)
    with httpx.Client(transport=transport, base_url="http://localhost") as http:
        gallery = GalleryClient(Caller(http))
        for name, (shape, resize) in KINDS.items():
            card, networks[name] = published(shape, resize, name, blobs)
            gallery.promote(name, gallery.register(card))
    with serving(data, server_processes=1, cached_answers=0) as service:
        yield service.url, networks


@pytest.mark.parametrize("kind", KINDS)
def test_served_answers_are_those_of_keras(house: tuple[str, dict[str, Any]], kind: str) -> None:
    url, networks = house
    shape, resize = KINDS[kind]
    rng = np.random.default_rng(len(kind))
    pictures = [drawn(rng, number) for number in range(500)]
    pixels = np.stack([decode_image(picture, shape, resize) for picture in pictures])
    expected = networks[kind].predict(pixels.astype(np.float32), batch_size=100, verbose=0)
    served = np.zeros_like(expected)
    with httpx.Client() as client:
        for row, picture in zip(served, pictures, strict=True):
            reply = client.post(f"{url}/classify?dataset={kind}&top=10", content=picture)
            assert reply.status_code == 200, reply.text
            for answer in reply.json()["answers"]:
                row[int(answer["category"]["name"])] = answer["probability"]
    np.testing.assert_allclose(served, expected, atol=1e-4)
    assert (served.argmax(axis=1) == expected.argmax(axis=1)).all()
    # It is no network that says one thing of everything.
    assert len(set(expected.argmax(axis=1))) > 1
