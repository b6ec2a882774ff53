"""`dicebox jobs`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from commons.job_messages import ClassificationJob, JobAnswer, JobState
from dicebox.client import Client
from dicebox.commands.options import (
    DatasetType,
    ListingGroup,
    as_json,
    print_json,
    print_table,
)
from dicebox.connect import Place, connect, connect_to_workers
from dicebox.job_upload import Sent, upload_pictures
from dicebox.picture_files import pictures_of
from dicebox.run_display import progress_console

_POLL_S = 0.3
_SHOWN_REFUSALS = 20
_CONFIDENCE = click.FloatRange(0.0, 1.0)


@click.group(cls=ListingGroup, short_help="Classify many pictures behind the requests.")
def jobs() -> None:
    """Classify many pictures by one or more networks, behind the requests.

    Without a command of its own it lists the newest, with the options of `list`.

    A job's images are durable when they are sent, and each answer when it is given: whatever is
    killed meanwhile, nothing is lost and nothing is asked twice. What a network said of an image
    is not asked again for another job either.
    """


@jobs.command(short_help="Make a job of files and folders.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="NETWORK",
    help="Ask this network (its id, 8 or more of its first digits, or its name); again for another "
    "one. Default: the present champion.",
)
@click.option(
    "--dataset",
    type=DatasetType(),
    help="Whose champion answers; not needed while there is only one.",
)
@click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait until it is done; else it goes on where `dicebox up` runs.",
)
@as_json
@click.pass_obj
def submit(
    place: Place,
    files: tuple[Path, ...],
    networks: tuple[str, ...],
    dataset: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Make a job of FILES and have it done.

    A folder stands for all files in it and below, but for hidden ones. What is no picture fails
    alone. Ctrl-C ends the waiting and not the job. Ends with 1 if anything failed.
    """
    pictures = pictures_of(files)
    if not pictures:
        raise click.UsageError("there is no file in these folders")
    opened = connect_to_workers(place.existing()) if wait else connect(place.existing())
    with opened as client:
        job = client.jobs.make(networks, dataset)
        click.echo(f"job {job.id}", err=as_json)
        refused = _upload(client, job.id, pictures)
        job = client.jobs.close(job.id)
        if wait:
            job = _awaited(client, job)
    if as_json:
        given = [{"file": file, "reason": reason} for file, reason in refused]
        print_json({"job": job.model_dump(mode="json"), "refused": given})
    else:
        click.echo(_line(job))
    if refused or job.failed or job.state in ("failed", "cancelled"):
        raise SystemExit(1)


@jobs.command(name="list")
@as_json
@click.pass_obj
def list_jobs(place: Place, as_json: bool) -> None:
    """List the jobs of this key, newest first."""
    with connect(place.existing()) as client:
        found = list(client.jobs.jobs())
    if as_json:
        print_json({"jobs": [job.model_dump(mode="json") for job in found]})
        return
    if not found:
        click.echo("No job yet: `dicebox jobs submit FOLDER` makes one.")
        return
    table = Table("job", "state", "images", "networks", "done", "failed", "who", "made", box=None)
    for job in found:
        table.add_row(
            job.id,
            job.state,
            f"{job.images:,}",
            str(len(job.networks)),
            f"{job.done:,}",
            f"{job.failed:,}",
            job.who or "",
            datetime.fromtimestamp(job.created, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    print_table(table)


@jobs.command()
@click.argument("job")
@as_json
@click.pass_obj
def show(place: Place, job: str, as_json: bool) -> None:
    """Show where JOB stands."""
    with connect(place.existing()) as client:
        found = client.jobs.job(job)
    if as_json:
        print_json({"job": found.model_dump(mode="json")})
        return
    click.echo(_line(found))
    for network in found.networks:
        reason = f": {network.reason}" if network.reason else ""
        click.echo(f"network {network.network[:12]} of {network.dataset}{reason}")


@jobs.command()
@click.argument("job")
@click.option("--network", metavar="NETWORK", help="Only what this network of the job says.")
@click.option("--state", type=click.Choice(get_args(JobState)), help="Only answers in this state.")
@click.option("--category", help="Only pictures that most probably show this, by name or id.")
@click.option("--min-confidence", type=_CONFIDENCE, help="Only answers at least this sure.")
@click.option("--max-confidence", type=_CONFIDENCE, help="Only answers at most this sure.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for a spreadsheet instead.")
@as_json
@click.pass_obj
def results(
    place: Place,
    job: str,
    network: str | None,
    state: JobState | None,
    category: str | None,
    min_confidence: float | None,
    max_confidence: float | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print what the networks of JOB say, a line for each picture and network."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    which: dict[str, Any] = {
        "network": network,
        "state": state,
        "category": category,
        "min_confidence": min_confidence,
        "max_confidence": max_confidence,
    }
    with connect(place.existing()) as client:
        if as_csv:
            for part in client.jobs.csv(job, **which):
                click.echo(part, nl=False)
            return
        found = client.jobs.results(job, **which)
        if as_json:
            print_json({"results": [one.model_dump(mode="json") for one in found]})
            return
        several = len(client.jobs.job(job).networks) > 1
        for answer in found:
            click.echo(_answer_line(answer, several))


@jobs.command()
@click.argument("job")
@as_json
@click.pass_obj
def cancel(place: Place, job: str, as_json: bool) -> None:
    """Give up what is not done of JOB; what was said is kept."""
    with connect(place.existing()) as client:
        cancelled = client.jobs.cancel(job)
    if as_json:
        print_json({"job": cancelled.model_dump(mode="json")})
    else:
        click.echo(_line(cancelled))


@jobs.command()
@click.argument("job")
@click.pass_obj
def delete(place: Place, job: str) -> None:
    """Forget JOB, its images, and what was said of them for no other job."""
    with connect(place.existing()) as client:
        client.jobs.remove(job)
    click.echo(f"job {job} is deleted")


def _upload(client: Client, job: str, pictures: list[Path]) -> list[tuple[str, str]]:
    refused: list[tuple[str, str]] = []
    with _bar("Sending", len(pictures)) as advance:
        for sent in upload_pictures(client.jobs, job, pictures):
            refused += sent.refused
            advance(_size(sent))
    for file, reason in refused[:_SHOWN_REFUSALS]:
        click.echo(f"refused {file}: {reason}", err=True)
    if len(refused) > _SHOWN_REFUSALS:
        click.echo(f"and {len(refused) - _SHOWN_REFUSALS} more", err=True)
    return refused


def _awaited(client: Client, job: ClassificationJob) -> ClassificationJob:
    """Return a job once it is over."""
    shown = 0
    with _bar("Classifying", job.images * len(job.networks)) as advance:
        while True:
            advance(job.done + job.failed - shown)
            shown = job.done + job.failed
            if job.finished is not None:
                return job
            time.sleep(_POLL_S)
            job = client.jobs.job(job.id)


@contextmanager
def _bar(what: str, total: int) -> Iterator[Any]:
    """Give what moves a bar on, where somebody can see it."""
    console = progress_console()
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


def _size(sent: Sent) -> int:
    return len(sent.added) + len(sent.refused)


def _line(job: ClassificationJob) -> str:
    reason = f" ({job.reason})" if job.reason else ""
    return (
        f"job {job.id} {job.state}{reason}: {job.images:,} images, {job.done:,} answers, "
        f"{job.failed:,} failed"
    )


def _answer_line(answer: JobAnswer, several: bool) -> str:
    network = f" {answer.network[:12]}" if several else ""
    if answer.answers:
        best = answer.answers[0]
        said = f"{best.category.name} {best.probability:.3f}"
    else:
        said = f"{answer.state}{f', {answer.reason}' if answer.reason else ''}"
    return f"{answer.file or answer.image}{network}: {said}"
