"""Puts the stand-alone trainer together: settings in, a trainer out."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
from pydantic import Field

import commons.settings
from commons.adapters.local_engine import LocalEngine
from commons.adapters.services import Caller, GalleryClient, SensoryClient
from commons.auth import authorization
from commons.messages import DatasetName, Sha256
from trainer.standalone import StandaloneTrainer

_HTTP_TIMEOUT_S = 600.0


class Settings(commons.settings.Settings):
    """What `python -m trainer` is told by its environment.

    Args:
        data: Holds `blobs`, shared with the classification service, and the folder `work`.
        sensory_url: Base address under which the sensory service answers.
        classification_url: The same of the classification service.
        dataset: What to train on; frozen anew unless `snapshot` names a frozen one.
        genome: File with the genome as JSON.
        epochs: Most epochs.
        seconds: Ends the training earlier.
        promote: Whether the network answers from now on.
    """

    data: Path = Path("dicebox-data")
    sensory_url: str = "http://127.0.0.1:8000"
    classification_url: str = "http://127.0.0.1:8000"
    dataset: DatasetName
    snapshot: Sha256 | None = None
    genome: Path
    epochs: int = Field(default=20, ge=1)
    seconds: float | None = Field(default=None, gt=0.0)
    seed: int = Field(default=0, ge=0)
    promote: Literal["auto", "never"] = "never"


@contextmanager
def open_trainer(
    sensory: SensoryClient, gallery: GalleryClient, sensory_url: str, data: Path
) -> Iterator[StandaloneTrainer]:
    """Give a trainer with one worker process on all cores; it ends with the block."""
    engine = LocalEngine(
        workers=1,
        blobs_url=str(data.absolute() / "blobs"),
        folder=data.absolute() / "work",
        threads=os.cpu_count() or 1,
    )
    try:
        yield StandaloneTrainer(engine, sensory, gallery, sensory_url)
    finally:
        engine.close()


def create_caller(url: str, key: str | None = None) -> Caller:
    """Return a caller of the service at a base address, which shows it a key."""
    http = httpx.Client(base_url=url, timeout=_HTTP_TIMEOUT_S, headers=authorization(key))
    return Caller(http)
