from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.web import PARTS, summary
from benchmarks.web_cells import pictures, spoken
from benchmarks.web_run import RUN, WrittenRun
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, sqlite_url
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.run_table import SqlRuns

FIGURES: dict[str, dict[str, Any]] = {
    "start": {"paint_ms": 300.0, "bytes": 480_000, "foreign": [], "serious": 1},
    "labels": {
        "keys": {"per_minute": 900.0, "p95_ms": 40.0},
        "grid": {"per_minute": 5000.0, "p95_ms": 140.0},
    },
    "uploads": {"per_second": 299.0},
    "run": {"individuals": 1000, "longest_frame_ms": 60.0, "longest_task_ms": 55.0},
    "drop": {
        "files": 100_000,
        "dropped": {"peak_bytes": 250e6, "longest_frame_ms": 90.0, "seconds": 200.0},
        "chosen": {"peak_bytes": 350e6, "longest_frame_ms": 9000.0, "seconds": 250.0},
        "bare": {"peak_bytes": 200e6, "longest_frame_ms": 8900.0},
    },
}


def by_measure(rows: list[Row], start: str) -> Row:
    return next(row for row in rows if row.measure.startswith(start))


def test_every_part_is_judged_by_the_goals_of_the_page() -> None:
    rows = summary(FIGURES)
    met = {row.measure: row.met for row in rows if row.goal is not None}
    assert met == {
        "first paint, empty cache": True,
        "transferred, all views opened": True,
        "requests to another host": True,
        "serious findings of axe-core": False,
        "labels by key": True,
        "key to durable, p95": True,
        "labels by grid": True,
        "key in the grid to durable, p95": False,
        "uploads of 28x28 PNGs": False,
        "run of 1000 individuals, longest frame": True,
        "folder of 100,000 files, dropped: memory of the tab": True,
        "folder of 100,000 files, chosen: memory of the tab": False,
    }
    assert set(FIGURES) == set(PARTS)


def test_a_part_that_was_not_measured_has_no_row() -> None:
    rows = summary({"uploads": {"per_second": 500.0}})
    assert [row.measure for row in rows] == ["uploads of 28x28 PNGs"]


def test_a_label_counts_from_its_key_to_its_own_answer() -> None:
    found = spoken([0.0, 10.0, 20.0, 30.0], [50.0, 50.0, 120.0, 120.0])
    assert found["p50_ms"] == 70.0
    assert found["per_minute"] == 60 * 4 / 0.12


def test_no_two_pictures_are_alike(tmp_path: Path) -> None:
    found = pictures(tmp_path / "some", 50)
    assert len({path.read_bytes() for path in found}) == 50


def test_a_run_is_written_for_a_page_to_watch(tmp_path: Path) -> None:
    WrittenRun(tmp_path).write(40, per_second=10_000.0)
    database = create_database(sqlite_url(tmp_path / "evolver.sqlite3"))
    run = SqlRuns(database, SystemClock()).get(RUN)
    found = SqlJournal(database).individuals(RUN)
    database.dispose()
    assert (run.state, run.progress.births, len(found)) == ("complete", 40, 40)
    best = max(found, key=lambda one: one.fitness or 0.0)
    assert run.progress.best_individual == best.number
    assert any(one.parents for one in found)
