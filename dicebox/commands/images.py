"""`dicebox import`."""

from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dicebox.commands.options import as_json, print_json
from dicebox.connect import Place, connect
from dicebox.image_folder import ImportReport, read_tree, upload_folder
from dicebox.run_display import progress_console

_SHOWN_REFUSALS = 20


@click.command(name="import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dataset", required=True, help="Where the images go; made when it is new.")
@as_json
@click.pass_obj
def import_images(place: Place, folder: Path, dataset: str, as_json: bool) -> None:
    """Import an ImageFolder tree: one folder a category, its name the category.

    A level of train, validation (or val) and test folders above the categories is understood
    and kept as the split. Importing again is harmless: what is there already stays as it is.
    Ends with 1 if a file was refused; the others are imported all the same.
    """
    categories = read_tree(folder)
    report = ImportReport()
    console = progress_console()
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with connect(place) as client, Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=sum(len(category.files) for category in categories))
        for category in categories:
            for files, reply in upload_folder(client.sensory, dataset, category):
                report.add(reply)
                bar.advance(task, files)
    for fault in report.refused[:_SHOWN_REFUSALS]:
        console.print(f"[red]refused[/] {fault['file']}: {fault['detail']}", soft_wrap=True)
    if as_json:
        print_json({"dataset": dataset, **vars(report)})
    else:
        click.echo(
            f"{report.stored} images stored in {dataset}, {report.duplicates} were there already "
            f"({report.relabeled} of them relabeled), {len(report.refused)} refused"
        )
    if report.refused:
        raise SystemExit(1)
