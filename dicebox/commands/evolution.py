"""`dicebox evolve`, `dicebox train` and `dicebox runs`."""

import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from commons.errors import DiceboxError, InvalidInputError
from commons.genome import Genome, genome_from_json
from commons.messages import ImageShape, Run, RunRequest
from commons.training import Budget
from dicebox.client import Client
from dicebox.commands.options import (
    LONGEST_S,
    DatasetType,
    as_json,
    given,
    print_json,
    seed_option,
    shape_option,
    split_names,
    workers_option,
)
from dicebox.connect import Place, connect, connect_to_workers
from dicebox.run_display import progress_console, started_run, training_bar, watch_run
from trainer.app import open_trainer
from trainer.standalone import TrainingRequest

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
@click.option(
    "--genome",
    "genome_file",
    required=True,
    help="A genome as JSON, such as `genome` of a network's card.",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--dataset",
    required=True,
    type=DatasetType(),
    help="Frozen anew, unless --snapshot names a frozen one.",
)
@click.option("--snapshot", metavar="ID", help="A frozen snapshot by its id.")
@click.option(
    "--epochs", default=20, show_default=True, type=click.IntRange(1), metavar="N", help="At most."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, LONGEST_S),
    metavar="S",
    help="End earlier after that many seconds.",
)
@shape_option
@seed_option
@click.option(
    "--promote",
    type=click.Choice(["auto", "never"]),
    default="never",
    show_default=True,
    help="Whether the network answers from now on.",
)
@as_json
@click.pass_obj
def train(
    place: Place,
    genome_file: Path,
    dataset: str,
    snapshot: str | None,
    epochs: int,
    seconds: float | None,
    shape: ImageShape | None,
    seed: int,
    promote: str,
    as_json: bool,
) -> None:
    """Train one genome on a dataset and publish the network."""
    if place.url:
        raise click.UsageError(
            "train writes its network into a data folder: leave --url ($DICEBOX_URL) out"
        )
    request = TrainingRequest(
        genome=_read_genome(genome_file),
        dataset=dataset,
        snapshot=snapshot,
        budget=Budget(epochs=epochs, seconds=seconds),
        shape=shape,
        seed=seed,
        promote=promote == "auto",
    )
    with (
        connect_to_workers(place) as client,
        _shown_to_workers(client.key),
        open_trainer(client.sensory, client.gallery, client.url, place.data) as trainer,
        training_bar(progress_console()) as report,
    ):
        published = trainer.train(request, report)
    if as_json:
        print_json({**vars(published), "metrics": published.metrics.model_dump()})
    else:
        metrics = published.metrics
        click.echo(
            f"network {published.network[:12]}: {100 * metrics.validation_accuracy:.2f} % of "
            f"{metrics.validation_images} validation images, {metrics.parameters:,} parameters, "
            f"{published.epochs} epochs in {published.seconds:.1f} s"
        )


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
    Console().print(table)


@contextmanager
def _shown_to_workers(key: str | None) -> Iterator[None]:
    """Have the worker processes that start meanwhile find the key where they look for it."""
    if key is not None:
        os.environ["DICEBOX_KEY"] = key
    yield


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


def _read_genome(file: Path) -> Genome:
    try:
        return genome_from_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInputError(f"{file} is no genome: {where}: {first['msg']}") from error
