"""`dicebox import`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from commons.adapters.services import SensoryClient
from commons.messages import UploadReply
from dicebox.commands.options import DatasetType, as_json, print_json
from dicebox.connect import Place, connect
from dicebox.image_archive import ImageArchive
from dicebox.image_folder import ImportReport, read_tree, upload_folder
from dicebox.run_display import progress_console

_SHOWN_REFUSALS = 20
Upload = Callable[[SensoryClient, str], Iterator[tuple[int, UploadReply]]]


@click.command(name="import", short_help="Import a folder or archive of labeled images.")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--dataset", required=True, type=DatasetType(), help="Where the images go; made when new."
)
@as_json
@click.pass_obj
def import_images(place: Place, source: Path, dataset: str, as_json: bool) -> None:
    """Import an ImageFolder tree, a folder or a zip, tar or tar.gz of one.

    One folder a category, its name the category:

    \b
    photos/cat/1.jpg               photos/train/cat/1.jpg
    photos/cat/2.jpg        or     photos/train/dog/1.jpg
    photos/dog/1.jpg               photos/test/cat/2.jpg

    A level of train, validation (or val) and test folders is kept as the split; without one, or
    without validation, splits are drawn at the first freeze. Importing again is harmless: what
    is there already stays as it is. Ends with 1 if a file was refused; the others are imported
    all the same.
    """  # noqa: D301 - click's own mark for lines that are not to be wrapped
    report = ImportReport()
    console = progress_console()
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        _opened(source) as (total, upload),
        connect(place) as client,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("", total=total)
        for files, reply in upload(client.sensory, dataset):
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


@contextmanager
def _opened(source: Path) -> Iterator[tuple[int, Upload]]:
    """Give the number of files of a folder or archive, and what uploads them."""
    if source.is_file():
        with ImageArchive(source) as archive:
            yield archive.files, archive.upload
        return
    categories = read_tree(source)

    def upload(sensory: SensoryClient, dataset: str) -> Iterator[tuple[int, UploadReply]]:
        for category in categories:
            yield from upload_folder(sensory, dataset, category)

    yield sum(len(category.files) for category in categories), upload
