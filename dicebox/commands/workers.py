"""`dicebox workers`."""

import time

import click
from rich.table import Table

from commons.worker_messages import Trainer, WorkerPage, WorkerSlot
from dicebox.commands.options import as_json, print_json, print_table
from dicebox.connect import Place, connect

_MINUTE_S = 60.0


@click.command(short_help="List the workers, and what each of them trains.")
@as_json
@click.pass_obj
def workers(place: Place, as_json: bool) -> None:
    """List the workers that train now: their slots, what is in each, and since when.

    With `--engine celery` these are the trainers on all machines, otherwise the workers of the
    runs that are under way here. A job is run/individual/rung.
    """
    with connect(place.existing()) as client:
        page = client.evolution.workers()
    if as_json:
        print_json(page.model_dump(mode="json"))
        return
    if page.workers:
        print_table(_table(page.workers, time.time()))
    else:
        click.echo(_nobody(page))
    for line in _queues(page):
        click.echo(line)


def _nobody(page: WorkerPage) -> str:
    if page.engine == "celery":
        return "No trainer is there: `python -m trainer.worker` starts one, on any machine."
    return "Nothing is trained now: `dicebox evolve --dataset NAME` starts a run."


def _table(workers: list[Trainer], now: float) -> Table:
    table = Table(
        *("worker", "machine", "kind", "busy", "trains", "a minute", "done", "failed"),
        "last failure",
        box=None,
    )
    for each in workers:
        busy = [slot for slot in each.slots if slot.job is not None]
        table.add_row(
            f"{each.name} (leaving)" if each.leaving else each.name,
            each.machine or "-",
            each.kind or "-",
            f"{len(busy)}/{len(each.slots)}",
            ", ".join(_activity(slot, now) for slot in busy) or "-",
            "-" if each.per_minute is None else f"{each.per_minute:.1f}",
            str(each.done),
            str(each.failed),
            " ".join((each.last_failure or "-").split()),
        )
    return table


def _activity(slot: WorkerSlot, now: float) -> str:
    if slot.since is None:
        return str(slot.job)
    # Another machine's clock may be a little ahead of this one.
    seconds = max(0.0, now - slot.since)
    if seconds < 2 * _MINUTE_S:
        return f"{slot.job} for {seconds:.0f} s"
    return f"{slot.job} for {seconds / _MINUTE_S:.0f} min"


def _queues(page: WorkerPage) -> list[str]:
    waiting = [f"{count} wait in {queue}" for queue, count in page.ready.items() if count]
    given_up = [f"{count} were given up in {queue}" for queue, count in page.dead.items() if count]
    return waiting + given_up
