"""`dicebox classify`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dicebox.commands.network_choice import whole_id
from dicebox.commands.options import DatasetType, as_json, print_json
from dicebox.connect import Place, connect
from dicebox.picture_files import AskedPictures, classified_pictures, pictures_of
from dicebox.run_display import progress_console

_STDIN = Path("-")


@click.command(short_help="Say what pictures show.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option(
    "--files-from",
    type=click.File("r", encoding="utf-8", errors="surrogateescape"),
    metavar="FILE",
    help="Classify the files and folders named there too, one a line; - reads the names from "
    "standard input.",
)
@click.option(
    "--dataset",
    type=DatasetType(),
    help="Whose champion answers; not needed while there is only one.",
)
@click.option(
    "--network",
    metavar="NETWORK",
    help="A network by its id, the start of it, or its name, instead of the champion.",
)
@click.option(
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(1, 1000),
    metavar="N",
    help="So many categories a file, the most probable first.",
)
@click.option(
    "--jobs",
    default=4,
    show_default=True,
    type=click.IntRange(1, 64),
    metavar="N",
    help="So many files at once.",
)
@as_json
@click.pass_obj
def classify(
    place: Place,
    files: tuple[Path, ...],
    files_from: IO[str] | None,
    dataset: str | None,
    network: str | None,
    top: int,
    jobs: int,
    as_json: bool,
) -> None:
    """Say what FILES show, one line a file, in their order.

    A folder stands for all files in it and below, but for hidden ones; - is a picture that comes
    on standard input. A file that is no picture is told and costs the others nothing; the command
    then ends with 1. Where classifications are recorded, as `dicebox up` does, `dicebox history`
    has them afterwards.
    """
    sources = [*files, *_named(files_from)]
    if not sources:
        raise click.UsageError("give at least one file or folder, or - for standard input")
    if files_from is not None and files_from.name == "<stdin>" and _STDIN in sources:
        raise click.UsageError("standard input holds names of files or a picture, not both")
    pictures = pictures_of(sources)
    results: list[dict[str, Any]] = []
    with connect(place.existing()) as client:
        asked = AskedPictures(dataset, whole_id(client, network) if network else None, top)
        with _bar(len(pictures), as_json=as_json) as bar:
            for result in classified_pictures(client.gallery, pictures, asked, jobs):
                results.append(result)
                bar.advance(bar.task_ids[0])
                if not as_json:
                    click.echo(_line(result), err="error" in result)
    if as_json:
        print_json({"files": results})
    if len(results) < len(pictures):
        click.echo(f"{len(pictures) - len(results)} files were not asked about any more", err=True)
    if any("error" in result for result in results):
        raise SystemExit(1)


def _named(file: IO[str] | None) -> Iterator[Path]:
    """Yield the files that are named in a file."""
    for line in file or ():
        name = line.rstrip("\r\n")
        if not name:
            continue
        path = Path(name)
        if path != _STDIN and not path.exists():
            raise click.UsageError(f"--files-from: there is no {click.format_filename(path)}")
        yield path


def _bar(files: int, *, as_json: bool) -> Progress:
    """Return what shows how far it is, but where the results themselves do on the same terminal."""
    console = progress_console()
    is_shown = console.is_terminal and files > 1 and (as_json or not sys.stdout.isatty())
    columns = (TextColumn("Classifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Results go to standard output as they are, whatever is shown beside.
    bar = Progress(*columns, console=console, disable=not is_shown, redirect_stdout=False)
    bar.add_task("", total=files)
    return bar


def _line(result: dict[str, Any]) -> str:
    if result.get("kind") == "no-network":
        return f"{result['file']}: no network yet: `dicebox evolve --dataset NAME` breeds one"
    if "error" in result:
        return f"{result['file']}: {result['error']}"
    answers = ", ".join(
        f"{answer['category']['name']} {answer['probability']:.3f}" for answer in result["answers"]
    )
    return f"{result['file']}: {answers}"
