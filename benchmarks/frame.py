"""What every benchmark shares: its options, its table on the terminal, its report as JSON."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click
from rich.console import Console
from rich.table import Table

from benchmarks.machine import commit, load, machine, versions
from benchmarks.rows import Row
from commons.errors import DiceboxError

REPOSITORY = Path(__file__).parents[1]
WORK = REPOSITORY / "benchmarks" / "work"
P = ParamSpec("P")


@dataclass(frozen=True)
class Options:
    """How a benchmark was asked to run.

    Args:
        quick: Small counts, to see that everything works; its figures say nothing.
        peers: Run the peers too, each in an environment of its own.
        resume: Keep the cells that were measured before.
        datasets: Where the archives of the larger datasets lie.
        work: Cells, environments and data folders; safe to lose.
        say: Tells whoever waits what is going on.
    """

    quick: bool
    peers: bool
    resume: bool
    datasets: Path
    work: Path = WORK
    say: Callable[[str], None] = print


@dataclass(frozen=True)
class Grid:
    """A table of words, on the terminal, in the report and on the page."""

    titles: Sequence[str]
    lines: Sequence[Sequence[str]]

    def as_table(self) -> Table:
        """Return it for the terminal."""
        table = Table(box=None, header_style="bold")
        for column, title in enumerate(self.titles):
            table.add_column(title, justify="right" if column else "left")
        for line in self.lines:
            table.add_row(*line)
        return table


@dataclass(frozen=True)
class Findings:
    """What a benchmark returns: its rows, tables for the eye, and details for the report.

    `grids` are tables that the page shows too, above the rows.
    """

    rows: Sequence[Row]
    tables: Sequence[Table] = ()
    details: dict[str, Any] = field(default_factory=dict)
    grids: Sequence[Grid] = ()


def benchmark(name: str) -> Callable[[Callable[Concatenate[Options, P], Findings]], click.Command]:
    """Return a decorator that makes a command of a function from `Options` to `Findings`.

    Options of its own are declared below it with `click.option`.
    """

    def decorate(measure: Callable[Concatenate[Options, P], Findings]) -> click.Command:
        def command(
            quick: bool,
            peers: bool,
            resume: bool,
            data: Path | None,
            json_file: Path | None,
            *args: P.args,
            **own: P.kwargs,
        ) -> None:
            console = Console(file=sys.stderr, highlight=False)
            options = Options(
                quick, peers, resume, datasets_folder(data, os.environ), say=console.print
            )
            before = surroundings(name, quick)
            try:
                with termination_interrupts():
                    findings = measure(options, *args, **own)
            except DiceboxError as error:
                raise click.ClickException(str(error)) from error
            show(findings, Console())
            if json_file is not None:
                write_report(json_file, before, findings)

        command.__doc__ = measure.__doc__
        command.__click_params__ = getattr(measure, "__click_params__", [])  # type: ignore[attr-defined]
        for option in _OPTIONS:
            option(command)
        return click.command(name)(command)

    return decorate


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Let SIGTERM interrupt the block as Ctrl-C does.

    By itself it would end this process at once, and leave its house, or a peer, at work for
    nobody, beside whatever is measured next.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def datasets_folder(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Return where datasets lie: as given, else `DICEBOX_DATASETS`, else beside the repository."""
    if given is not None:
        return given
    named = environ.get("DICEBOX_DATASETS")
    return Path(named) if named else REPOSITORY.parent / "shared" / "datasets"


def surroundings(name: str, quick: bool) -> dict[str, Any]:
    """Return what a figure means nothing without: machine, versions, date, commit, command."""
    return {
        "benchmark": name,
        "quick": quick,
        "command": " ".join(["python", "-m", f"benchmarks.{name}", *map(_named, sys.argv[1:])]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **commit(REPOSITORY),
        "machine": {**machine(), "load_before": load()},
        "versions": versions(),
    }


def _named(argument: str) -> str:
    """Return an argument without the folders of this machine."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def show(findings: Findings, console: Console) -> None:
    """Print the benchmark's own tables and then its rows."""
    for table in (*findings.tables, *(grid.as_table() for grid in findings.grids)):
        console.print(table)
    console.print(rows_table(findings.rows))


def rows_table(rows: Sequence[Row]) -> Table:
    """Return the rows as a table."""
    table = Table(box=None, header_style="bold")
    for title in ("measure", "ours", "best peer", "ratio", "goal", "met"):
        table.add_column(title, justify="left" if title == "measure" else "right")
    marks = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}
    for row in rows:
        peer = "" if row.best_peer is None else f"{figure(row.best_peer)} ({row.peer})"
        table.add_row(
            row.measure,
            f"{figure(row.ours)} {row.unit}".strip(),
            peer,
            "" if row.ratio is None else figure(row.ratio),
            "" if row.goal is None else str(row.goal),
            marks[row.met],
        )
    return table


def figure(value: float | None) -> str:
    """Return a number with four significant digits, or a dash for none."""
    if value is None:
        return "-"
    whole = 1000  # from here on digits behind the point are noise
    return f"{value:,.0f}" if abs(value) >= whole else f"{value:.4g}"


def write_report(file: Path, before: dict[str, Any], findings: Findings) -> None:
    """Write the report: rows, surroundings and details."""
    report = {
        "rows": [row.as_json() for row in findings.rows],
        "grids": [{"titles": grid.titles, "lines": grid.lines} for grid in findings.grids],
        **before,
        "details": findings.details,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )


_OPTIONS = (
    click.option(
        "--json",
        "json_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write rows, machine, versions, date, commit and details to this file.",
    ),
    click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder with the datasets [default: $DICEBOX_DATASETS, ../shared/datasets].",
    ),
    click.option("--resume", is_flag=True, help="Keep the cells that were measured before."),
    click.option("--peers", is_flag=True, help="Run the peers too, in their own environments."),
    click.option("--quick", is_flag=True, help="Small counts: a look, not a measurement."),
)
