"""`dicebox import`."""

from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dicebox.commands.options import DatasetType, as_json, print_json
from dicebox.connect import Place, connect
from dicebox.image_folder import ImportReport, read_tree, upload_folder
from dicebox.run_display import progress_console

_SHOWN_REFUSALS = 20


@click.command(name="import", short_help="Import a folder of labeled images.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--dataset", required=True, type=DatasetType(), help="Where the images go; made when new."
)
@as_json
@click.pass_obj
def import_images(place: Place, folder: Path, dataset: str, as_json: bool) -> None:
    """Import an ImageFolder tree: one folder a category, its name the category.

    \b
    photos/cat/1.jpg               photos/train/cat/1.jpg
    photos/cat/2.jpg        or     photos/train/dog/1.jpg
    photos/dog/1.jpg               photos/test/cat/2.jpg

    A level of train, validation (or val) and test folders is kept as the split; without one, or
    without validation, splits are drawn at the first freeze. Importing again is harmless: what
    is there already stays as it is. Ends with 1 if a file was refused; the others are imported
    all the same.
    """  # noqa: D301 - click's own mark for lines that are not to be wrapped
    categories = read_tree(folder)
    report = ImportReport()
    console = progress_console()
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        connect(place) as client,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("", total=sum(len(category.files) for category in categories))
        for category in categories:
            for files, reply in upload_folder(client.sensory, dataset, category):
                report.add(reply)
                bar.advance(task, files)
    for fault in report.refused[:_SHOWN_REFUSALS]:
        click.echo(f"refused {fault['file']}: {fault['detail']}", err=True)
    if len(report.refused) > _SHOWN_REFUSALS:
        click.echo(f"and {len(report.refused) - _SHOWN_REFUSALS} more", err=True)
    if as_json:
        print_json({"dataset": dataset, **vars(report)})
    else:
        click.echo(
            f"{report.stored} images stored in {dataset}, {report.duplicates} were there already "
            f"({report.relabeled} of them relabeled), {len(report.refused)} refused"
        )
    if report.refused:
        raise SystemExit(1)
