"""The stand-alone trainer as a process: environment in, one trained and registered network out."""

import json
import os
import sys

from commons.adapters.services import GalleryClient, SensoryClient
from commons.auth import key_from_env
from commons.errors import DiceboxError
from commons.genome import genome_from_json
from commons.settings import settings_from_env
from commons.training import Budget, TrainProgress
from trainer.app import Settings, create_caller, open_trainer
from trainer.standalone import TrainingRequest


def main() -> None:
    """Train what the environment says (`DATASET`, `GENOME`, `EPOCHS`, ...); print JSON lines."""
    try:
        _train(settings_from_env(Settings, os.environ, prefix=""))
    except (DiceboxError, OSError, ValueError) as error:
        sys.exit(f"trainer: {error}")


def _train(settings: Settings) -> None:
    request = TrainingRequest(
        genome=genome_from_json(settings.genome.read_bytes()),
        dataset=settings.dataset,
        snapshot=settings.snapshot,
        budget=Budget(epochs=settings.epochs, seconds=settings.seconds),
        seed=settings.seed,
        promote=settings.promote == "auto",
    )
    key = key_from_env(os.environ)
    sensory = SensoryClient(create_caller(settings.sensory_url, key))
    gallery = GalleryClient(create_caller(settings.classification_url, key))
    with open_trainer(sensory, gallery, settings.sensory_url, settings.data) as trainer:
        published = trainer.train(request, _print_progress)
    print(json.dumps({**vars(published), "metrics": published.metrics.model_dump()}), flush=True)


def _print_progress(progress: TrainProgress) -> None:
    print(progress.model_dump_json(), flush=True)
