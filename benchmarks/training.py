"""`python -m benchmarks.training`: how fast small networks train here, and what else they cost."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from benchmarks.frame import REPOSITORY, Findings, Options, benchmark, figure
from benchmarks.rows import Row, at_most
from benchmarks.training_cell import GENOMES
from commons.errors import DiceboxError

Cell = Mapping[str, float]
_SECONDS, _QUICK_S = 2.0, 0.3
# Name, precision, norm: how a training was before each of them was chosen, and how it is.
_WAYS = (
    ("float32, norm of Keras", "float32", "keras"),
    ("float32, fused norm", "float32", "fused"),
    ("bfloat16, fused norm", "bfloat16", "fused"),
)
_NOW = ("auto", "fused")
_GOAL_OUTSIDE_MS = 50


@benchmark("training")
def training(options: Options) -> Findings:
    """Train a few genomes on made-up images, in a process of its own each."""
    seconds = _QUICK_S if options.quick else _SECONDS
    by_way: dict[str, dict[str, Cell]] = {}
    splits: dict[str, dict[str, float]] = {}
    now: dict[str, Cell] = {}
    for name in GENOMES:
        options.say(name)
        by_way[name] = {
            way: _cells(name, precision, norm, 1, seconds, 1)[0] for way, precision, norm in _WAYS
        }
        now[name] = _cells(name, *_NOW, 1, seconds, 1)[0]
        whole = _cells(name, *_NOW, 2, seconds, 1)
        halves = _cells(name, *_NOW, 1, seconds, 2)
        splits[name] = {
            "1 worker, 2 threads": sum(cell["images_per_s"] for cell in whole),
            "2 workers, 1 thread": sum(cell["images_per_s"] for cell in halves),
        }
    details: dict[str, Any] = {"ways": by_way, "now": now, "splits": splits, "seconds": seconds}
    return Findings(summary(now, by_way, splits), [_table(by_way, now)], details)


def summary(
    now: Mapping[str, Cell],
    by_way: Mapping[str, Mapping[str, Cell]],
    splits: Mapping[str, Mapping[str, float]],
) -> list[Row]:
    """Return the rows: speed as it is, times that before, and what a candidate costs beside it."""
    rows = []
    for name, cell in now.items():
        share = cell["images_per_cpu_s"] / by_way[name][_WAYS[0][0]]["images_per_cpu_s"]
        rows += [
            Row(f"{name}: images a second of a core", "", cell["images_per_cpu_s"]),
            Row(f"{name}: times float32 with the norm of Keras", "", share),
            Row(f"{name}: building and tracing", "ms", 1000 * cell["build_s"]),
            Row(
                f"{name}: a candidate beside building and training",
                "ms",
                1000 * cell["outside_s"],
                goal=at_most(_GOAL_OUTSIDE_MS),
            ),
        ]
        one, two = splits[name].values()
        rows.append(Row(f"{name}: two workers over one", "", two / one))
    return rows


def _cells(
    name: str, precision: str, norm: str, threads: int, seconds: float, processes: int
) -> list[Cell]:
    """Return what processes measure that run at the same time."""
    words = [name, precision, norm, str(threads), str(seconds)]
    command = [sys.executable, "-m", "benchmarks.training_cell", *words]
    running = [
        subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for _ in range(processes)
    ]
    cells = []
    for process in running:
        said, _ = process.communicate()
        if process.returncode != 0:
            raise DiceboxError(f"{' '.join(command[1:])} ended with code {process.returncode}")
        cells.append(json.loads(said.splitlines()[-1]))
    return cells


def _table(by_way: Mapping[str, Mapping[str, Cell]], now: Mapping[str, Cell]) -> Table:
    table = Table(title="images a second of one core", box=None, title_style="dim")
    table.add_column("genome")
    for way, _, _ in _WAYS:
        table.add_column(way, justify="right")
    table.add_column("as it is", justify="right")
    for name, cells in by_way.items():
        figures = [cells[way]["images_per_cpu_s"] for way, _, _ in _WAYS]
        table.add_row(name, *map(figure, (*figures, now[name]["images_per_cpu_s"])))
    return table


if __name__ == "__main__":
    training()
