"""Long tables, cell by cell: what was measured once is kept, and `--resume` goes on there."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.frame import REPOSITORY, Options
from benchmarks.machine import commit, load, machine, versions
from commons.errors import NotFoundError


@dataclass(frozen=True)
class Cell:
    """One measurement of a table; `settings` is everything else that its figure depends on."""

    benchmark: str
    arm: str
    data: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return a file name that no other cell has."""
        settings = json.dumps(dict(self.settings), sort_keys=True)
        key = hashlib.sha256(settings.encode()).hexdigest()[:10]
        return f"{self.benchmark}-{self.arm}-{self.data}-{self.seed}-{key}"


@dataclass(frozen=True)
class Measured:
    """A cell with its figures, and when, where, under what load and of what they were taken."""

    cell: Cell
    figures: dict[str, Any]
    taken: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return it as its file and the report keep it."""
        key = {"arm": self.cell.arm, "data": self.cell.data, "seed": self.cell.seed}
        return {**key, "settings": dict(self.cell.settings), **self.taken, "figures": self.figures}


class CellStore:
    """Measured cells as JSON files of one folder, each whole or absent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, cell: Cell) -> Measured | None:
        """Return what was measured of a cell, if anything was."""
        try:
            stored = json.loads(self._file(cell).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        key = ("arm", "data", "seed", "settings", "figures")
        taken = {name: value for name, value in stored.items() if name not in key}
        return Measured(cell, stored["figures"], taken)

    def put(self, measured: Measured) -> None:
        """Keep a measured cell, in the place of an earlier one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._file(measured.cell)
        draft = file.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(json.dumps(measured.as_json(), indent=1), encoding="utf-8")
        draft.replace(file)

    def _file(self, cell: Cell) -> Path:
        return self._folder / f"{cell.name}.json"


def measure_cells(
    cells: Iterable[Cell],
    measure: Callable[[Cell], dict[str, Any]],
    options: Options,
    folder: Path | None = None,
) -> list[Measured]:
    """Return all cells measured, one after another; with `resume` only what was missing.

    They are kept in `folder`, or among what may be lost.
    """
    store = CellStore(folder or options.work / "cells")
    found: list[Measured] = []
    for cell in cells:
        title = f"{cell.benchmark}: {cell.arm}, {cell.data}, seed {cell.seed}"
        measured = store.get(cell) if options.resume else None
        if measured is None:
            options.say(title)
            taken = {
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "load_before": load(),
                "machine": machine(),
                "versions": versions(),
                **commit(REPOSITORY),
            }
            measured = Measured(cell, measure(cell), taken)
            store.put(measured)
        else:
            options.say(f"{title}: kept, {version_of(measured)}")
        found.append(measured)
    return found


def kept_cells(cells: Iterable[Cell], folder: Path) -> list[Measured]:
    """Return those of the cells that a folder has, without measuring any.

    Raises:
        NotFoundError: It has none of them.
    """
    store = CellStore(folder)
    found = [measured for cell in cells if (measured := store.get(cell)) is not None]
    if not found:
        raise NotFoundError(f"none of these cells is in {folder.name}: measure some first")
    return found


def version_of(measured: Measured) -> str:
    """Say which commit measured a cell."""
    made_by = (measured.taken.get("commit") or "unknown")[:12]
    return f"commit {made_by}" + (" with changes" if measured.taken.get("dirty") else "")
