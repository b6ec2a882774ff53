"""`dicebox report`."""

import time
import webbrowser
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import click
from rich.progress import Progress

from commons.errors import DiceboxError
from commons.messages import Individual
from dicebox.commands.options import as_json, print_json
from dicebox.commands.run_files import found_run
from dicebox.connect import Place, connect
from dicebox.run_display import progress_console

_STANDARD_OUTPUT = Path("-")


@click.command(short_help="Write all about a run into one HTML file.")
@click.argument("run", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where to; default: report-RUN.html here, - is standard output.",
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.option(
    "--images",
    default=2000,
    show_default=True,
    type=click.IntRange(0, 100_000),
    metavar="N",
    help="Have the champion classify so many validation images at most.",
)
@click.option(
    "--tensorboard",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write TensorBoard logs too, into a folder of the run's in FOLDER.",
)
@as_json
@click.pass_obj
def report(
    place: Place,
    run: str | None,
    output: Path | None,
    show: bool,
    images: int,
    tensorboard: Path | None,
    as_json: bool,
) -> None:
    """Write how RUN went into one HTML file: the newest run, or the one whose id starts so.

    It shows the champion and where it comes from, the accuracy at any time, the population, the
    front, genes, operators, costs and failures, and what the champion takes for what among the
    validation images. The file fetches nothing: it can be sent and kept.
    """
    if output == _STANDARD_OUTPUT and (show or as_json):
        raise click.UsageError("--open and --json need a file: give -o one, or leave it out")
    _need("matplotlib", "report")
    if tensorboard is not None:
        _need("tensorboardX", "tensorboard")
    from dicebox.report.gather import gather  # noqa: PLC0415 - a second of imports, see below
    from dicebox.report.page import render  # noqa: PLC0415 - for this command alone

    console = progress_console()
    with (
        connect(place.existing()) as client,
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("Asking the champion", total=None)
        facts = gather(
            client,
            found_run(client, run),
            images,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    for line in facts.missing:
        click.echo(f"dicebox: left out: {' '.join(line.split())}", err=True)
    page = render(facts, time.time(), version("dicebox"))
    if output == _STANDARD_OUTPUT:
        click.echo(page, nl=False)
        return
    file = output or Path(f"report-{facts.run.id}.html")
    _write(file, page)
    logs = _logs(facts.individuals, tensorboard / facts.run.id) if tensorboard else None
    if as_json:
        print_json({"run": facts.run.id, "file": str(file), "tensorboard": logs and str(logs)})
    else:
        click.echo(str(file))
        if logs:
            click.echo(f"tensorboard --logdir {logs}")
    if show and not webbrowser.open(file.absolute().as_uri()):
        raise DiceboxError(f"there is no browser to open {file} with")


def _need(module: str, extra: str) -> None:
    if find_spec(module) is None:
        raise DiceboxError(f"this needs {module}: pip install 'dicebox[{extra}]'")


def _logs(individuals: list[Individual], folder: Path) -> Path:
    from dicebox.report.tensorboard import write_logs  # noqa: PLC0415 - see `report`

    write_logs(individuals, folder)
    return folder


def _write(file: Path, text: str) -> None:
    """Write a file whole or not at all: one that was there is kept on failure."""
    draft = file.with_name(f".{file.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
