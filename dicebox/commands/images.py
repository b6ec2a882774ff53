"""`dicebox import`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from commons.messages import ImportedFile
from dicebox.commands.options import DatasetType, as_json, print_json
from dicebox.connect import Place, connect
from dicebox.run_display import progress_console
from dicebox.tree_upload import ImportReport, opened_tree, upload_tree

_SHOWN_REFUSALS = 20


@click.command(name="import", short_help="Import a folder or archive of labeled images.")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--dataset", required=True, type=DatasetType(), help="Where the images go; made when new."
)
@click.option(
    "--results",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write a line of JSON for every file there: what became of it, and why.",
)
@click.option(
    "--send-all",
    is_flag=True,
    help="Send what is there already too: that puts back bytes which the storage lost.",
)
@as_json
@click.pass_obj
def import_images(
    place: Place, source: Path, dataset: str, results: Path | None, send_all: bool, as_json: bool
) -> None:
    """Import an ImageFolder tree, a folder or a zip, tar or tar.gz of one.

    One folder a category, its name the category:

    \b
    photos/cat/1.jpg               photos/train/cat/1.jpg
    photos/cat/2.jpg        or     photos/train/dog/1.jpg
    photos/dog/1.jpg               photos/test/cat/2.jpg

    A level of train, validation (or val) and test folders is kept as the split; without one, or
    without validation, splits are drawn at the first freeze. Importing again is harmless, and
    how an import that was interrupted goes on: what is there already is not sent again. Ends
    with 1 if a file was refused; the others are imported all the same.
    """  # noqa: D301 - click's own mark for lines that are not to be wrapped
    report = ImportReport()
    console = progress_console()
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        opened_tree(source) as tree,
        connect(place) as client,
        _writer(results) as write,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("", total=tree.files)
        for files in upload_tree(client.sensory, dataset, tree, send_all=send_all):
            report.add(files)
            write(files)
            bar.advance(task, len(files))
    for fault in report.refused[:_SHOWN_REFUSALS]:
        click.echo(f"refused {fault.file}: {fault.detail}", err=True)
    if len(report.refused) > _SHOWN_REFUSALS:
        click.echo(f"and {len(report.refused) - _SHOWN_REFUSALS} more", err=True)
    if as_json:
        print_json({"dataset": dataset, **report.as_json()})
    else:
        click.echo(
            f"{report.stored} images stored in {dataset}, {report.duplicates} were there already "
            f"({report.relabeled} of them relabeled), {len(report.refused)} refused"
        )
    if report.refused:
        raise SystemExit(1)


@contextmanager
def _writer(file: Path | None) -> Iterator[Callable[[list[ImportedFile]], None]]:
    """Give what writes the results of files down, a line each."""
    if file is None:
        yield lambda _: None
        return
    with click.open_file(str(file), "w", encoding="utf-8") as output:
        yield lambda files: output.writelines(
            f"{one.model_dump_json(exclude_none=True)}\n" for one in files
        )
