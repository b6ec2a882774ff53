from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cells import (
    Cell,
    CellStore,
    Measured,
    kept_cells,
    measure_cells,
    version_of,
)
from benchmarks.frame import Options
from commons.errors import NotFoundError, UnavailableError

CELL = Cell("sample", "ours", "digits", 0, {"seconds": 60.0})


def options(work: Path, resume: bool = True) -> Options:
    return Options(False, False, resume, work, work, say=lambda _: None)


@pytest.mark.parametrize(
    "other",
    [
        replace(CELL, benchmark="other"),
        replace(CELL, arm="random"),
        replace(CELL, data="mnist"),
        replace(CELL, seed=1),
        replace(CELL, settings={"seconds": 61.0}),
        replace(CELL, settings={}),
    ],
)
def test_no_two_cells_share_a_name(other: Cell) -> None:
    assert other.name != CELL.name


def test_the_order_of_settings_does_not_matter() -> None:
    one, two = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert replace(CELL, settings=one).name == replace(CELL, settings=two).name


def test_a_cell_that_was_stored_comes_back_as_it_was(tmp_path: Path) -> None:
    store = CellStore(tmp_path)
    assert store.get(CELL) is None
    measured = Measured(CELL, {"accuracy": 0.98}, {"date": "2025-01-01", "commit": "abc"})
    store.put(measured)
    assert store.get(CELL) == measured
    assert [file.name for file in tmp_path.iterdir()] == [f"{CELL.name}.json"]


def test_a_table_that_broke_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    cells = [replace(CELL, seed=seed) for seed in range(3)]
    asked: list[int] = []

    def measure(cell: Cell) -> dict[str, int]:
        asked.append(cell.seed)
        if asked == [0, 1]:
            raise UnavailableError("the machine went away")
        return {"figure": 10 * cell.seed}

    with pytest.raises(UnavailableError):
        measure_cells(cells, measure, options(tmp_path))
    found = measure_cells(cells, measure, options(tmp_path))
    assert asked == [0, 1, 1, 2]
    assert [each.figures["figure"] for each in found] == [0, 10, 20]
    known = {"date", "load_before", "commit", "machine", "versions"}
    assert all(known <= set(each.taken) for each in found)


def test_without_resume_everything_is_measured_again(tmp_path: Path) -> None:
    for figure in (1, 2):
        measure_cells([CELL], lambda _, figure=figure: {"figure": figure}, options(tmp_path, False))
    stored = CellStore(tmp_path / "cells").get(CELL)
    assert stored is not None
    assert stored.figures == {"figure": 2}


def test_the_kept_cells_are_those_that_were_measured(tmp_path: Path) -> None:
    cells = [replace(CELL, seed=seed) for seed in range(3)]
    with pytest.raises(NotFoundError, match="measure some first"):
        kept_cells(cells, tmp_path)
    CellStore(tmp_path).put(Measured(cells[1], {"figure": 1}, {"commit": "a" * 40}))
    assert [each.cell.seed for each in kept_cells(cells, tmp_path)] == [1]


def test_a_cell_says_which_commit_measured_it() -> None:
    assert version_of(Measured(CELL, {}, {})) == "commit unknown"
    taken = {"commit": "0123456789abcdef", "dirty": True}
    assert version_of(Measured(CELL, {}, taken)) == "commit 0123456789ab with changes"
