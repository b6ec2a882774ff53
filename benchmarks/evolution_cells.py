"""The cells of the evolution benchmark: one search each, ours or a peer's, and what it cost."""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.arms import AGAIN, FLIPPED, PEER_EPOCHS, Contestant, contestants, request_of
from benchmarks.cells import Cell
from benchmarks.frame import Options
from benchmarks.frozen import frozen_dicebox
from benchmarks.peers import run_peer
from benchmarks.pixels import Pixels, pixels_of, share_right
from benchmarks.processes import Observer
from benchmarks.runs import drive_run
from commons.errors import DiceboxError
from commons.messages import Individual, Run
from dicebox.held_out import classify_held_out
from dicebox.report.trials import records, timeline

_LOOK_EVERY_S = 1.0  # each look costs some 20 ms of a processor that the search could use
# What a peer may take beside its search: to import, and to answer the questions at the end.
_BESIDE_S = 600.0
_TOLD = ("keras", "tensorflow", "optuna", "autokeras")


def measure_ours(cell: Cell, options: Options) -> dict[str, Any]:
    """Return the figures of one run of Dicebox; one that fails is recorded with its reason."""
    with (
        frozen_dicebox(cell.data, options) as frozen,
        Observer(frozen.running.pid, _LOOK_EVERY_S) as seen,
    ):
        client, snapshot = frozen.client, frozen.snapshot
        request = request_of(cell.arm, cell.data, snapshot.id, cell.settings["seconds"], cell.seed)
        if cell.arm in AGAIN:
            drive_run(client, request, seen, lambda _: None)
            seen.samples.clear()
        started = time.monotonic()
        run = drive_run(client, request, seen, lambda _: None)
        figures = {
            "wall_seconds": time.monotonic() - started,
            "peak_bytes": seen.peak_bytes(),
            "tensorflow_imports": len(seen.trainers),
            "images": frozen.images,
            **figures_of(run, client.evolution.individuals(run.id)),
        }
        if run.state != "complete" or run.network is None:
            return {**figures, "test_accuracy": None, "ended": f"{run.state}: {run.reason}"}
        held_out = classify_held_out(client, snapshot, run.network, lambda: None)
    return {
        **figures,
        "test_accuracy": held_out.accuracy,
        "test_images": held_out.images,
        "classification_median_ms": held_out.median_ms,
    }


def figures_of(run: Run, individuals: list[Individual]) -> dict[str, Any]:
    """Return what a run and its journal say of the search."""
    progress = run.progress
    found = records(timeline(individuals).trials)
    return {
        "validation_accuracy": progress.best,
        "networks": progress.evaluated,
        "failed": progress.failed,
        "epochs": progress.epochs,
        "networks_per_minute": progress.candidates_per_minute,
        "champion": progress.best_genome,
        "curve": [[round(one.seconds, 3), one.accuracy] for one in found],
    }


def measure_peer(cell: Cell, options: Options) -> dict[str, Any]:
    """Return the figures of one search of a peer; one that fails is recorded with its reason."""
    pixels = pixels_of(cell.data, options)
    contestant = contestants()[cell.arm]
    told = [pinned for pinned in contestant.peer.requirements if pinned.startswith(_TOLD)]
    try:
        return {"requirements": told, **search_of(contestant, cell, pixels, options)}
    except DiceboxError as error:
        return {
            "requirements": told,
            "test_accuracy": None,
            "validation_accuracy": None,
            "networks": None,
            "ended": str(error),
            "curve": [],
            "images": pixels.images,
        }


def search_of(
    contestant: Contestant, cell: Cell, pixels: Pixels, options: Options
) -> dict[str, Any]:
    """Return the figures of a peer; without a network it has no accuracy.

    Raises:
        DiceboxError: It failed.
    """
    seen: list[Observer] = []

    def observe(pid: int) -> Observer:
        seen.append(Observer(pid, _LOOK_EVERY_S))
        return seen[0]

    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work, prefix="peer-") as folder:
        answers = Path(folder) / "answers.npy"
        figures = run_peer(
            contestant.peer,
            _arguments(contestant, cell, pixels, Path(folder), answers),
            options.work,
            float(cell.settings["seconds"]) + _BESIDE_S,
            observe,
        )
        accuracy = share_right(answers, pixels.truth) if answers.exists() else None
    return {
        "test_accuracy": accuracy,
        "peak_bytes": seen[0].peak_bytes(),
        "images": pixels.images,
        **figures,
    }


def _arguments(
    contestant: Contestant, cell: Cell, pixels: Pixels, folder: Path, answers: Path
) -> list[str]:
    named = {
        "examples": pixels.examples,
        "questions": pixels.questions,
        "answers": answers,
        "work": folder,
        "seconds": cell.settings["seconds"],
        "seed": cell.seed,
        "variant": contestant.variant,
        "epochs": PEER_EPOCHS[cell.data],
    }
    words = [word for name, value in named.items() for word in (f"--{name}", str(value))]
    return [*words, "--flip"] if cell.data in FLIPPED else words
