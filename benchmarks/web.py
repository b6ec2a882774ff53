"""`python -m benchmarks.web`: the page in headless Chromium, over the services as they are."""

from collections.abc import Callable, Mapping, Sequence

import click

from benchmarks.frame import Findings, Options, benchmark
from benchmarks.rows import Row, at_least, at_most
from benchmarks.web_cells import (
    FULL,
    QUICK,
    Figures,
    Sizes,
    measure_drop,
    measure_labels,
    measure_run,
    measure_start,
    measure_uploads,
)

Part = Callable[[Options, Sizes], Figures]
PARTS: dict[str, Part] = {
    "start": measure_start,
    "labels": measure_labels,
    "uploads": measure_uploads,
    "run": measure_run,
    "drop": measure_drop,
}


@benchmark("web")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="Only these parts."
)
def web(options: Options, parts: Sequence[str]) -> Findings:
    """Measure the page's start, labels by key and grid, uploads, a large drop and a large run."""
    sizes = QUICK if options.quick else FULL
    figures: dict[str, Figures] = {}
    for name in parts or PARTS:
        options.say(f"measuring {name}")
        figures[name] = PARTS[name](options, sizes)
    return Findings(summary(figures), details=figures)


def summary(figures: Mapping[str, Figures]) -> list[Row]:
    """Return the rows of the parts that were measured."""
    return [row for name in PARTS if name in figures for row in _ROWS[name](figures[name])]


def _start_rows(found: Figures) -> list[Row]:
    return [
        Row("first paint, empty cache", "ms", found["paint_ms"], goal=at_most(1000)),
        Row("transferred, all views opened", "kB", found["bytes"] / 1000, goal=at_most(500)),
        Row("requests to another host", "", float(len(found["foreign"])), goal=at_most(0)),
        Row("serious findings of axe-core", "", float(found["serious"]), goal=at_most(0)),
    ]


def _label_rows(found: Figures) -> list[Row]:
    keys, grid = found["keys"], found["grid"]
    return [
        Row("labels by key", "a minute", keys["per_minute"], goal=at_least(60)),
        Row("key to durable, p95", "ms", keys["p95_ms"], goal=at_most(100)),
        Row("labels by grid", "a minute", grid["per_minute"], goal=at_least(600)),
        Row("key in the grid to durable, p95", "ms", grid["p95_ms"], goal=at_most(100)),
    ]


def _upload_rows(found: Figures) -> list[Row]:
    return [Row("uploads of 28x28 PNGs", "files/s", found["per_second"], goal=at_least(300))]


def _run_rows(found: Figures) -> list[Row]:
    what = f"run of {found['individuals']} individuals"
    return [
        Row(f"{what}, longest frame", "ms", found["longest_frame_ms"], goal=at_most(100)),
        Row(f"{what}, longest task of the page", "ms", found["longest_task_ms"]),
    ]


def _drop_rows(found: Figures) -> list[Row]:
    rows = []
    for how in ("dropped", "chosen"):
        what, seen = f"folder of {found['files']:,} files, {how}", found[how]
        rows += [
            Row(f"{what}: memory of the tab", "MB", seen["peak_bytes"] / 1e6, goal=at_most(300)),
            Row(f"{what}: longest frame", "ms", seen["longest_frame_ms"]),
            Row(f"{what}: all stored after", "s", seen["seconds"]),
        ]
    bare = found["bare"]
    return [
        *rows,
        Row("the same choice on a bare page: memory", "MB", bare["peak_bytes"] / 1e6),
        Row("the same choice on a bare page: longest frame", "ms", bare["longest_frame_ms"]),
    ]


_ROWS: dict[str, Callable[[Figures], list[Row]]] = {
    "start": _start_rows,
    "labels": _label_rows,
    "uploads": _upload_rows,
    "run": _run_rows,
    "drop": _drop_rows,
}


if __name__ == "__main__":
    web()
