"""`dicebox evolve` and `dicebox runs`."""

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from commons.errors import DiceboxError, InvalidInputError
from commons.messages import Run, RunRequest
from dicebox.client import Client
from dicebox.commands.options import (
    LONGEST_S,
    DatasetType,
    as_json,
    given,
    print_json,
    print_table,
    seed_option,
    shape_option,
    split_names,
    workers_option,
)
from dicebox.connect import Place, connect, connect_to_workers
from dicebox.run_display import progress_console, started_run, watch_run

_INTERRUPTED = 130


@click.command(short_help="Breed a network for a dataset.")
@click.option(
    "--dataset", required=True, type=DatasetType(), help="Breed a network for this dataset."
)
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1.0, LONGEST_S),
    metavar="S",
    help="Wall-clock budget, final training included.",
)
@click.option(
    "--evaluations",
    type=click.IntRange(1),
    metavar="N",
    help="Train at most that many candidates.",
)
@shape_option
@click.option(
    "--resize",
    type=click.Choice(["fit", "pad", "crop"]),
    default="fit",
    show_default=True,
    help="Stretch, pad with black, or cut to the input size.",
)
@click.option(
    "--categories", metavar="A,B,…", help="Only these, separated by commas; default: all."
)
@click.option(
    "--population",
    type=click.IntRange(2, 10_000),
    default=16,
    show_default=True,
    metavar="N",
    help="So many candidates live at once; the oldest makes room for the next.",
)
@workers_option
@seed_option
@click.option(
    "--strategy",
    type=click.Choice(["evolution", "random"]),
    default="evolution",
    show_default=True,
    help="Random search is the baseline to compare with.",
)
@click.option(
    "--taxonomy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML or JSON file that restricts the search space.",
)
@click.option(
    "--promote",
    type=click.Choice(["auto", "never"]),
    default="auto",
    show_default=True,
    help="Whether the winner answers from now on.",
)
@as_json
@click.pass_obj
def evolve(place: Place, /, as_json: bool, taxonomy: Path | None, **options: Any) -> None:
    """Breed a network within a wall-clock budget, publish it, and let it answer.

    Freezes the dataset's labeled images first. Selection sees validation images only. Ctrl-C
    ends the search early and publishes the best network so far; Ctrl-C again leaves at once.
    """
    options["categories"] = split_names(options["categories"])
    options["taxonomy"] = _read_taxonomy(taxonomy) if taxonomy else None
    request = given(options)
    console = progress_console()
    with connect_to_workers(place.existing()) as client:
        run, interrupted = _watch_or_stop(client, request, console)
    if interrupted and run.network is None:
        raise KeyboardInterrupt
    if run.network is None:
        raise DiceboxError(f"the run {run.id} ended as {run.state}: {run.reason}")
    if as_json:
        print_json(run.model_dump(mode="json"))
    else:
        click.echo(_summary(run))
    if interrupted:
        raise SystemExit(_INTERRUPTED)


@click.command()
@as_json
@click.pass_obj
def runs(place: Place, as_json: bool) -> None:
    """List the evolution runs, newest first."""
    with connect(place.existing()) as client:
        found = client.evolution.runs()
    if as_json:
        print_json({"runs": [run.model_dump(mode="json") for run in found]})
        return
    if not found:
        click.echo("No run yet: `dicebox evolve --dataset NAME` starts one.")
        return
    table = Table("run", "dataset", "state", "trained", "best", "network", "started", box=None)
    for run in found:
        best = run.progress.best
        table.add_row(
            run.id,
            run.request.dataset,
            run.state,
            str(run.progress.evaluated),
            "-" if best is None else f"{100 * best:.2f} %",
            run.network[:12] if run.network else "",
            datetime.fromtimestamp(run.created, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    print_table(table)


def _watch_or_stop(client: Client, request: RunRequest, console: Console) -> tuple[Run, bool]:
    """Return the run at its end, and whether Ctrl-C had it stopped."""
    run: Run | None = None
    try:
        with started_run(client, request) as run:
            return watch_run(client, run.id, console), False
    except KeyboardInterrupt:
        if run is None:
            raise
        console.print(f"Stopping run {run.id}; Ctrl-C again leaves at once.")
        return watch_run(client, run.id, console), True


def _summary(run: Run) -> str:
    progress = run.progress
    served = "answers from now on" if run.promoted else "is published, not promoted"
    best = f"{100 * progress.best:.2f} %" if progress.best is not None else "-"
    network = run.network[:12] if run.network else "none"
    return (
        f"run {run.id} {run.state}: {progress.evaluated} candidates in {progress.seconds:.0f} s, "
        f"best {best} of validation; network {network} {served}\n{progress.best_genome}"
    )


def _read_taxonomy(file: Path) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8")
    try:
        value = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"{file} is no TOML or JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"expected {file} to hold an object, got {type(value).__name__}")
    return value
