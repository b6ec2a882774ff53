"""The stand-alone trainer as a process: environment in, one trained and registered network out."""

import json
import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from commons.auth import key_from_env
from commons.errors import DiceboxError
from commons.settings import settings_from_env
from commons.training import Budget, TrainProgress
from trainer.app import Settings, open_trainer, reach_services, read_genome
from trainer.standalone import TrainingRequest

_FAILED = 1
_INTERRUPTED = 130
_TERMINATED = 143
_GO_ON = "what was trained is kept; the same call goes on from there"


def main() -> None:
    """Train what the environment says (`SNAPSHOT`, `GENOME`, `EPOCHS`, ...); print JSON lines.

    A line for each epoch and one for the network go to standard output, sentences to standard
    error. The exit code is 0 for success, 1 for failure, 130 for Ctrl-C, 143 for SIGTERM.
    """
    # What is tried again is said in our own words.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _train(settings_from_env(Settings, os.environ, prefix=""))
    except (DiceboxError, OSError, ValueError) as error:
        _say(" ".join(str(error).split()))
        sys.exit(_FAILED)
    except KeyboardInterrupt:
        _say(f"interrupted: {_GO_ON}")
        sys.exit(_INTERRUPTED)


def _train(settings: Settings) -> None:
    request = TrainingRequest(
        genome=read_genome(settings.genome),
        dataset=settings.dataset,
        snapshot=settings.snapshot,
        budget=Budget(epochs=settings.epochs, seconds=settings.seconds),
        shape=settings.shape,
        resize=settings.resize,
        seed=settings.seed,
        promote=settings.promote,
    )
    key = key_from_env(os.environ)
    urls = (settings.sensory_url, settings.classification_url)
    with (
        reach_services(*urls, key, _say) as services,
        open_trainer(services, settings.data, _Lines(), settings.blobs_url) as trainer,
    ):
        published = trainer.train(request)
    print(json.dumps({**vars(published), "metrics": published.metrics.model_dump()}), flush=True)


class _Lines:
    """`trainer.standalone.Display` for programs: JSON lines, and sentences beside them."""

    def fetched(self, here: int, every: int) -> None:
        """Say so once all are here: the lines in between would help nobody."""
        if here == every:
            _say(f"{every:,} examples are here")

    def trained(self, progress: TrainProgress) -> None:
        """Print an epoch as a line of JSON."""
        print(progress.model_dump_json(), flush=True)

    def say(self, sentence: str) -> None:
        """Print a sentence."""
        _say(sentence)


def _say(sentence: str) -> None:
    print(f"trainer: {sentence}", file=sys.stderr, flush=True)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    # The first signal unwinds what runs; a second must not disturb that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _say(f"ended by SIGTERM: {_GO_ON}")
    sys.exit(_TERMINATED)
