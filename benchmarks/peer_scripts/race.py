"""One search of a peer against the clock: its images, its deadline, its best network so far.

None of the peers has a budget of wall-clock for a whole search, so the race gives them one: who
trains asks `check` after every batch, and a search that asks nobody is ended by an alarm. The
best network by validation is kept as it was after its best epoch, so that a search that is
ended in the middle of a training still has what it found. The clock starts when the libraries
are imported and the images are in memory; scoring comes after it has stopped. Both favour the
peer: Dicebox pays for its imports and for publishing out of the same budget.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# A batch, or the tracing of a network, takes less; the alarm is for what asks nobody.
_GRACE_S = 5.0
_LINE = 300

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


class TimeIsUp(BaseException):
    """The deadline; no `except Exception` of a library swallows it."""


class Examples(NamedTuple):
    """What a search may see: uint8 (count, height, width, channels) and int64 (count,)."""

    train: Images
    train_labels: Labels
    validation: Images
    validation_labels: Labels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (height, width, channels) of one image."""
        _, height, width, channels = self.train.shape
        return height, width, channels

    @property
    def categories(self) -> int:
        """Return how many categories there are."""
        return int(max(self.train_labels.max(), self.validation_labels.max())) + 1


class Asked(NamedTuple):
    """What a script is told: files, seconds, a seed, and the search it is to do."""

    examples: Path
    questions: Path
    answers: Path
    work: Path
    seconds: float
    seed: int
    variant: str
    flip: bool
    epochs: int


@dataclass
class Race:
    """The clock, and what was found before it stopped.

    Args:
        seconds: How long the search may take.
        networks: How many trainings were started.
        curve: (second, validation accuracy) of every network better than all before it.
        kept: What `saw` was given with the best of them.
        failures: What was said of networks that could not be built or trained: the libraries
            go on in silence.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic
    networks: int = 0
    epochs: int = 0
    curve: list[tuple[float, float]] = field(default_factory=list)
    kept: Any = None
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def spent(self) -> float:
        """Return the seconds since the start."""
        return self.clock() - self._began

    def check(self) -> None:
        """Go on, or not.

        Raises:
            TimeIsUp: The seconds are spent.
        """
        if self.spent() >= self.seconds:
            raise TimeIsUp

    def saw(self, accuracy: float, keep: Callable[[], Any]) -> None:
        """Take note of an epoch; `keep` returns the network as it is now, if it is the best.

        Raises:
            TimeIsUp: It came too late, and counts no more.
        """
        self.check()
        self.epochs += 1
        if not self.curve or accuracy > self.curve[-1][1]:
            self.kept = keep()
            self.curve.append((round(self.spent(), 3), accuracy))

    def note(self, failure: object) -> None:
        """Take note of a network that failed, by the last line of what is known of it."""
        lines = str(failure).strip().splitlines() or ["no reason given"]
        self.failures.append(lines[-1][:_LINE])


Search = Callable[[Race, Examples, Asked], None]
Answer = Callable[[Any, Images], npt.NDArray[np.int64]]


def main(search: Search, answer: Answer, arguments: Sequence[str] | None = None) -> None:
    """Search, then answer the questions with the best network, and print the figures.

    Args:
        search: Trains until `TimeIsUp`; that it returns early is fine.
        answer: Returns the category of each image from what was kept.
        arguments: Those of the command line.
    """
    asked = parsed(sys.argv[1:] if arguments is None else arguments)
    with np.load(asked.examples) as file:
        examples = Examples(*(file[name] for name in Examples._fields))
    race = Race(asked.seconds)
    ended = run(race, lambda: search(race, examples, asked))
    figures: dict[str, Any] = {
        "networks": race.networks,
        "epochs": race.epochs,
        "wall_seconds": race.spent(),
        "ended": ended,
        "failed": len(race.failures),
        "last_failure": race.failures[-1] if race.failures else None,
        "curve": race.curve,
        "validation_accuracy": race.curve[-1][1] if race.curve else None,
    }
    if race.kept is not None:
        # Once more over the validation images: what was kept is what was measured.
        said = answer(race.kept, examples.validation)
        figures["kept_accuracy"] = float(np.mean(said == examples.validation_labels))
        # The test images are opened here and nowhere before; their labels never come here.
        with np.load(asked.questions) as file:
            np.save(asked.answers, answer(race.kept, file["images"]))
    print(json.dumps(figures))


def run(race: Race, search: Callable[[], None]) -> str:
    """Run a search to its end, whatever ends it, and return what that was.

    A library that gives up keeps what it has found, as one that ran out of time does.
    """

    def ring(_: int, __: FrameType | None) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    left = max(0.0, race.seconds - race.spent())
    # Again and again: below TensorFlow's C++ an exception may become one that is caught.
    signal.setitimer(signal.ITIMER_REAL, left + _GRACE_S, _GRACE_S)
    try:
        search()
    except TimeIsUp:
        return "deadline"
    except Exception as error:  # the outermost frame of somebody else's program
        return f"{type(error).__name__}: {error}"[:_LINE]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    return "the search was done"


def parsed(arguments: Sequence[str]) -> Asked:
    """Return the arguments of a script."""
    parser = argparse.ArgumentParser()
    for name in ("examples", "questions", "answers", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--variant", default="")
    parser.add_argument("--flip", action="store_true")
    parser.add_argument("--epochs", type=int, required=True)
    return Asked(**vars(parser.parse_args(arguments)))
