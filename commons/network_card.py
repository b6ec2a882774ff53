"""The card of a network: all that is needed to use it and to know where it came from."""

import hashlib
import json
from typing import Literal

from pydantic import Field

from commons.genome import Genome
from commons.messages import Category, Message, ResizePolicy, Sha256

# What a file of a network is called where it is sent: by its hash and its kind.
NETWORK_FILE_NAME = r"^[0-9a-f]{64}\.(npz|keras|onnx)$"


class NetworkFile(Message):
    """One file of a network: `blob` is its name in the blobs."""

    blob: str
    sha256: Sha256
    bytes: int = Field(ge=1)


class Preprocessing(Message):
    """How an image becomes the input of the network.

    Decode (`decoder` names the version of `commons.adapters.decode`), resize to `shape`, keep
    the values 0…255 as float32: the network scales them itself.
    """

    shape: tuple[int, int, int]
    resize: ResizePolicy
    decoder: str


class Metrics(Message):
    """Measured on the validation split, never on test.

    `onnx_difference` is the largest difference of a probability between Keras and ONNX.
    """

    validation_accuracy: float
    validation_loss: float
    validation_images: int
    train_images: int
    parameters: int
    onnx_difference: float


class NetworkCard(Message):
    """A published network; `network_id` names it by all that the card says."""

    version: Literal[1] = 1
    dataset: str
    snapshot: Sha256
    categories: list[Category] = Field(min_length=2)
    genome: Genome
    genome_hash: Sha256
    preprocessing: Preprocessing
    metrics: Metrics
    weights: NetworkFile
    keras: NetworkFile
    onnx: NetworkFile
    run: str | None = None
    individual: int | None = None
    created: float
    versions: dict[str, str]


def network_blob(name: str) -> str:
    """Return the blob of a file of a network, such as `ab12….onnx`."""
    return f"networks/{name[:2]}/{name}"


def network_id(card: NetworkCard) -> str:
    """Return the sha256 of the card's canonical JSON, in hex."""
    text = json.dumps(card.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
