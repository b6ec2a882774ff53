"""Who takes part in the evolution benchmark, with what, for how long, and what is asked of us."""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.peers import Peer
from benchmarks.rows import Goal, at_least, at_most
from commons.messages import Fidelity, RunRequest

OURS, RANDOM = "ours", "random"
Strategy = Literal["evolution", "random", "generational", "seeds"]
# Dicebox's own searches, all over the same space.
STRATEGIES: dict[str, Strategy] = {
    OURS: "evolution",
    RANDOM: "random",
    "seeds": "seeds",
    "generational": "generational",
}
# The second of two equal runs in one folder: what earlier ones trained counts in it alone.
AGAIN = ("again", "again without cache")
# The evolution without some of the things that make a fitness cheap.
ABLATIONS = {
    **{f"without {name}": (name,) for name in ("rungs", "inheritance", "curve_stop", "warm_final")},
    **dict(zip(AGAIN, ((), ("cache",)), strict=True)),
}
# The classic algorithm is as plain as it is known.
_OFF = {"generational": tuple(Fidelity.model_fields), **ABLATIONS}
ABLATION_S = 120.0
BUDGETS_S = {"digits": 60.0, "mnist": 600.0, "cifar10": 600.0}
# As they are called beside a figure: compression cost CIFAR-10 some accuracy.
TITLES = {"digits": "digits", "mnist": "MNIST", "cifar10": "CIFAR-10 (JPEG)"}
THREADS = 2
# A mirrored digit is another digit or none; a mirrored ship is a ship.
FLIPPED = frozenset({"cifar10"})
# The most epochs of one network of KerasTuner and Optuna. An epoch of the digits takes less than
# a second. One of the large sets takes tens of them on two cores: with more than 10, of which
# the first bracket of Hyperband would make 2, 4 and 10, nothing but its first rung would end.
PEER_EPOCHS = {"digits": 30, "mnist": 10, "cifar10": 10}
SCRIPTS = Path(__file__).parent / "peer_scripts"


@dataclass(frozen=True)
class Contestant:
    """A peer and which of its searches it is to do."""

    peer: Peer
    variant: str = ""


@dataclass(frozen=True)
class Goals:
    """What is asked on one dataset in one budget.

    Args:
        accuracy: Of the mean test accuracy, in percent.
        error: Of the test error as a multiple of the best peer's.
    """

    accuracy: Goal
    error: Goal | None = None


GOALS = {
    ("digits", 60.0): Goals(at_least(99.0)),
    ("mnist", 600.0): Goals(at_least(99.55), Goal("at most", 0.5, of="ratio")),
    ("cifar10", 600.0): Goals(at_least(82.0), Goal("at most", 0.6, of="ratio")),
    ("cifar10", 7200.0): Goals(at_least(90.0)),
}
WALL_CLOCK_GOAL = at_most(1.05)


def environ(threads: int) -> dict[str, str]:
    """Return what tells TensorFlow how many threads it has, and to keep quiet."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return {
        **dict.fromkeys(names, str(threads)),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONHASHSEED": "0",
    }


def _peer(name: str, script: str) -> Peer:
    pinned = (SCRIPTS / f"{script}.txt").read_text(encoding="utf-8").split()
    return Peer(name, pinned, SCRIPTS / f"{script}_peer.py", environ(THREADS))


def contestants() -> dict[str, Contestant]:
    """Return the peers by the names they have in tables."""
    tuner = _peer("KerasTuner", "keras_tuner")
    return {
        "KerasTuner Hyperband": Contestant(tuner, "hyperband"),
        "KerasTuner Bayesian": Contestant(tuner, "bayesian"),
        "Optuna": Contestant(_peer("Optuna", "optuna")),
        "AutoKeras": Contestant(_peer("AutoKeras", "autokeras")),
    }


def settings_of(contestant: Contestant, dataset: str) -> dict[str, Any]:
    """Return what a peer's figures depend on beside the images, the seconds and the seed.

    A cell that was measured with something else of it is another cell.
    """
    return {
        "requirements": _hashed("\n".join(contestant.peer.requirements).encode()),
        "script": _hashed(*(file.read_bytes() for file in _modules(contestant.peer.script))),
        "variant": contestant.variant,
        "epochs": PEER_EPOCHS[dataset],
        "flip": dataset in FLIPPED,
        "threads": THREADS,
    }


def _modules(script: Path) -> list[Path]:
    """Return a peer's script and what all scripts beside it share."""
    shared = (file for file in script.parent.glob("*.py") if not file.stem.endswith("_peer"))
    return sorted({script, *shared})


def _hashed(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:10]


def request_of(arm: str, dataset: str, snapshot: str, seconds: float, seed: int) -> RunRequest:
    """Return what an arm of ours, a key of `STRATEGIES` or `ABLATIONS`, is asked to do."""
    return RunRequest(
        dataset=dataset,
        snapshot=snapshot,
        seconds=seconds,
        seed=seed,
        strategy=STRATEGIES.get(arm, "evolution"),
        fidelity=Fidelity.model_validate(dict.fromkeys(_OFF.get(arm, ()), False)),
    )


def keep_to(threads: int) -> None:
    """Let this process and all that it starts run on so many processors and no more (Linux)."""
    if sys.platform == "linux":
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:threads])
