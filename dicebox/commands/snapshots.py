"""`dicebox datasets`, `dicebox freeze`, `dicebox snapshots`, `dicebox diff`, `dicebox export`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click
from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from commons.messages import SPLITS, ExportFormat, FreezeRequest, Snapshot, SnapshotDiff
from dicebox.commands.options import DatasetType, as_json, print_json, print_table, split_names
from dicebox.connect import Place, connect
from dicebox.run_display import progress_console

_SHOWN_CATEGORIES = 6
_SHARE = click.FloatRange(0.0, 0.5, max_open=True)


@click.command()
@as_json
@click.pass_obj
def datasets(place: Place, as_json: bool) -> None:
    """List the datasets with what is in them."""
    with connect(place.existing()) as client:
        found = client.sensory.datasets()
    if as_json:
        print_json({"datasets": [dataset.model_dump(mode="json") for dataset in found]})
        return
    if not found:
        click.echo("No dataset yet: `dicebox import FOLDER --dataset NAME` makes one.")
        return
    table = Table("dataset", "images", "labeled", "categories", box=None)
    for dataset in found:
        names = [f"{one.name} ({one.images:,})" for one in dataset.categories[:_SHOWN_CATEGORIES]]
        if len(dataset.categories) > _SHOWN_CATEGORIES:
            names.append(f"and {len(dataset.categories) - _SHOWN_CATEGORIES} more")
        table.add_row(dataset.name, f"{dataset.images:,}", f"{dataset.labeled:,}", ", ".join(names))
    print_table(table)


@click.command(short_help="Freeze what is labeled now.")
@click.argument("dataset", type=DatasetType())
@click.option(
    "--categories", metavar="A,B,…", help="Only these, separated by commas; default: all."
)
@click.option(
    "--validation",
    "validation_share",
    default=0.15,
    show_default=True,
    type=click.FloatRange(0.0, 0.5, min_open=True, max_open=True),
    metavar="SHARE",
    help="Share of the images that have no split yet.",
)
@click.option(
    "--test",
    "test_share",
    default=0.15,
    show_default=True,
    type=_SHARE,
    metavar="SHARE",
    help="Likewise.",
)
@as_json
@click.pass_obj
def freeze(
    place: Place,
    dataset: str,
    categories: str | None,
    validation_share: float,
    test_share: float,
    as_json: bool,
) -> None:
    """Freeze the labeled images of DATASET and print the id of the snapshot.

    The same images with the same labels give the same id. A split that an image once has it
    keeps, in every snapshot.
    """
    request = FreezeRequest(
        categories=split_names(categories), validation_share=validation_share, test_share=test_share
    )
    with connect(place.existing()) as client:
        snapshot = client.sensory.freeze(dataset, request)
    if as_json:
        print_json(snapshot.model_dump(mode="json"))
        return
    click.echo(snapshot.id)
    click.echo(_summary(snapshot), err=True)


@click.command(short_help="List the snapshots of a dataset.")
@click.argument("dataset", type=DatasetType())
@as_json
@click.pass_obj
def snapshots(place: Place, dataset: str, as_json: bool) -> None:
    """List the snapshots of DATASET, newest first."""
    with connect(place.existing()) as client:
        found = client.sensory.snapshots(dataset)
    if as_json:
        print_json({"snapshots": [snapshot.model_dump(mode="json") for snapshot in found]})
        return
    if not found:
        click.echo(f"No snapshot yet: `dicebox freeze {dataset}` makes one.")
        return
    table = Table("snapshot", "frozen", "images", *SPLITS, "categories", box=None)
    for one in found:
        counts = [f"{one.counts.get(split, 0):,}" for split in SPLITS]
        when = datetime.fromtimestamp(one.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
        table.add_row(one.id[:12], when, f"{one.images:,}", *counts, f"{one.categories:,}")
    print_table(table)


@click.command(short_help="Say what changed between two snapshots.")
@click.argument("before")
@click.argument("after")
@as_json
@click.pass_obj
def diff(place: Place, before: str, after: str, as_json: bool) -> None:
    """Say what changed from the snapshot BEFORE to the snapshot AFTER (ids, or starts of them)."""
    with connect(place.existing()) as client:
        changes = client.sensory.diff(before, after)
    if as_json:
        print_json(changes.model_dump(mode="json"))
    else:
        click.echo(_changes(changes))


@click.command(short_help="Save a snapshot as a tar.")
@click.argument("snapshot")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the tar goes.",
)
@click.option(
    "--format",
    "form",
    default="imagefolder",
    show_default=True,
    type=click.Choice(get_args(ExportFormat)),
    help="Folders by split and category, or images beside COCO-style annotations.",
)
@as_json
@click.pass_obj
def export(place: Place, snapshot: str, output: Path, form: ExportFormat, as_json: bool) -> None:
    """Save the snapshot SNAPSHOT (an id, or its start) as a tar, every image checked by its hash.

    The file is there whole, or not at all. Categories are folders by number in `imagefolder`,
    their names stand in `categories.json`; `dicebox import` reads both again.
    """
    console = progress_console()
    columns = (TextColumn("Exporting"), DownloadColumn(), TransferSpeedColumn())
    with (
        connect(place.existing()) as client,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        snapshot = client.sensory.snapshot(snapshot).id
        task = bar.add_task("", total=None)
        size = client.sensory.export(
            snapshot, output, form, received=lambda part: bar.advance(task, part)
        )
    if as_json:
        print_json({"snapshot": snapshot, "file": str(output), "bytes": size})
    else:
        click.echo(f"{click.format_filename(output)}: {size:,} bytes")


def _summary(snapshot: Snapshot) -> str:
    counts = ", ".join(f"{count:,} {split}" for split, count in snapshot.counts.items())
    return f"{snapshot.dataset}: {counts}, in {len(snapshot.categories)} categories"


def _changes(diff: SnapshotDiff) -> str:
    lines = [f"{diff.added:,} added, {diff.removed:,} removed, {diff.relabeled:,} relabeled"]
    lines += [f"category {category.name} came" for category in diff.categories_added]
    lines += [f"category {category.name} went" for category in diff.categories_removed]
    lines += [f"{change.kind} {change.image}" for change in diff.changes]
    return "\n".join(lines)
