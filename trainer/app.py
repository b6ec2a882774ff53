"""Puts the stand-alone trainer together: settings in, a trainer out."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
from pydantic import BeforeValidator, Field, ValidationError

import commons.settings
from commons.adapters.blobs import open_blobs
from commons.adapters.cards import usable_cards
from commons.adapters.clock import SystemClock
from commons.adapters.local_engine import LocalEngine
from commons.adapters.machine import usable_cores
from commons.adapters.services import Caller, GalleryClient, SensoryClient
from commons.auth import authorization
from commons.errors import InvalidInputError, UnavailableError
from commons.genome import Genome, genome_from_json
from commons.messages import DatasetName, ImageShape, PromotePolicy, ResizePolicy, Sha256
from commons.training import shape_from_text
from trainer.adapters.example_cache import ExampleCache
from trainer.standalone import Display, StandaloneTrainer

_HTTP_TIMEOUT_S = 60.0
# A service that is updated or moved comes back within this.
_PATIENCE_S = 600.0
_SAY_EVERY_S = 15.0


def _shape(value: object) -> object:
    """Return what a shape is written as; what is no text is one already."""
    return shape_from_text(value) if isinstance(value, str) else value


class Settings(commons.settings.Settings):
    """What `python -m trainer` is told by its environment.

    Args:
        data: For the examples, the checkpoints and the files of the network; needs to be shared
            with nobody.
        blobs_url: Where the classification service has its blobs, if that can be reached from
            here: a folder, or `s3://bucket/prefix`. Else the files are sent to it.
        sensory_url: Base address under which the sensory service answers.
        classification_url: The same of the classification service, if it is another one.
        snapshot: A frozen one to train on.
        dataset: Frozen anew where no snapshot is named.
        genome: File with the genome as JSON.
        epochs: Most epochs.
        seconds: Ends the training earlier.
        shape: Input size, such as 28x28x1; default: the median size of the images, at most 64x64.
        resize: Whether images are stretched, padded with black, or cut to it.
        promote: Whether the network answers: `auto` unless it is found worse than the champion,
            `canary` for a tenth of the requests until it is found better or worse, or `never`.
    """

    data: Path = Path("dicebox-data")
    blobs_url: str | None = None
    sensory_url: str = "http://127.0.0.1:8000"
    classification_url: str | None = None
    snapshot: Sha256 | None = None
    dataset: DatasetName | None = None
    genome: Path
    epochs: int = Field(default=20, ge=1)
    seconds: float | None = Field(default=None, gt=0.0)
    shape: Annotated[ImageShape | None, BeforeValidator(_shape)] = None
    resize: ResizePolicy = "fit"
    seed: int = Field(default=0, ge=0)
    promote: PromotePolicy = "never"


@dataclass(frozen=True)
class Services:
    """Where the examples come from and where the network goes."""

    sensory: SensoryClient
    gallery: GalleryClient
    sensory_url: str


@contextmanager
def open_trainer(
    services: Services, data: Path, display: Display, blobs_url: str | None = None
) -> Iterator[StandaloneTrainer]:
    """Give a trainer with one worker process on all cores; it ends with the block."""
    work = data.absolute() / "work"
    blobs_url = blobs_url or str(data.absolute() / "blobs")
    engine = LocalEngine(
        workers=1, blobs_url=blobs_url, folder=work, threads=usable_cores(), cards=usable_cards()
    )
    try:
        yield StandaloneTrainer(
            engine,
            open_blobs(blobs_url),
            services.sensory,
            services.gallery,
            ExampleCache(work / "cache", services.sensory, SystemClock()),
            services.sensory_url,
            work / "trainings",
            display,
        )
    finally:
        engine.close()


@contextmanager
def reach_services(
    sensory_url: str,
    classification_url: str | None,
    key: str | None,
    say: Callable[[str], None],
) -> Iterator[Services]:
    """Give clients that wait for services that are away, and say so.

    Args:
        sensory_url: Base address under which the sensory service answers.
        classification_url: The same of the classification service; default: the same address.
        key: Shown to both.
        say: Called with a sentence now and then while one of them is away.
    """
    headers = authorization(key)
    with (
        httpx.Client(base_url=sensory_url, timeout=_HTTP_TIMEOUT_S, headers=headers) as sensory,
        httpx.Client(
            base_url=classification_url or sensory_url, timeout=_HTTP_TIMEOUT_S, headers=headers
        ) as classification,
    ):
        tell = _NowAndThen(say)
        yield Services(
            SensoryClient(Caller(sensory, _PATIENCE_S, tell)),
            GalleryClient(Caller(classification, _PATIENCE_S, tell)),
            sensory_url,
        )


def read_genome(file: Path) -> Genome:
    """Return the genome in a JSON file.

    Raises:
        InvalidInputError: The file cannot be read, or holds something else.
    """
    try:
        return genome_from_json(file.read_bytes())
    except OSError as error:
        raise InvalidInputError(f"cannot read the genome {file}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInputError(f"{file} is no genome: {where}: {first['msg']}") from error


class _NowAndThen:
    """Says why a service is waited for, the first time and then now and then."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said_at = -_SAY_EVERY_S

    def __call__(self, error: UnavailableError) -> None:
        if time.monotonic() - self._said_at >= _SAY_EVERY_S:
            self._say(f"waits: {error}")
            self._said_at = time.monotonic()
