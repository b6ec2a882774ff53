"""`dicebox runs`."""

from collections import Counter
from datetime import UTC, datetime

import click
from rich.table import Table

from commons.messages import Individual, Run
from dicebox.commands.options import as_json, print_json, print_table
from dicebox.commands.run_files import found_run
from dicebox.connect import Place, connect

_SHOWN = 10


@click.command(short_help="List the evolution runs, or show one.")
@click.argument("run", required=False)
@click.option(
    "--discard",
    is_flag=True,
    help="Delete the weights that RUN keeps. Its journal and its published network stay.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@click.pass_obj
def runs(place: Place, run: str | None, discard: bool, yes: bool, as_json: bool) -> None:
    """List the evolution runs, newest first, or show how RUN went.

    RUN is an id, or how one starts. Of one that has more than one objective the front is shown:
    the networks that no other beats in all of them.
    """
    if discard:
        _discard(place, run, yes, as_json)
        return
    with connect(place.existing()) as client:
        if run is not None:
            chosen = found_run(client, run)
            front = client.evolution.front(chosen.id)
            individuals = client.evolution.individuals(chosen.id)
        else:
            listed = client.evolution.runs()
    if run is None:
        _show_all(listed, as_json)
    elif as_json:
        facts = {"individuals": individuals, "front": front}
        rows = {name: [each.model_dump(mode="json") for each in of] for name, of in facts.items()}
        print_json({"run": chosen.model_dump(mode="json"), **rows})
    else:
        _show(chosen, individuals, front)


def _discard(place: Place, run: str | None, yes: bool, as_json: bool) -> None:
    if run is None:
        raise click.UsageError("--discard needs RUN")
    with connect(place.existing()) as client:
        chosen = found_run(client, run)
        if not yes:
            resumed = chosen.state in ("interrupted", "failed")
            end = "; it cannot be resumed then" if resumed else ""
            question = f"Delete the weights that the run {chosen.id} ({chosen.state}) keeps{end}?"
            click.confirm(question, abort=True, err=True)
        discarded = client.evolution.discard(chosen.id)
    if as_json:
        print_json(discarded.model_dump())
    else:
        click.echo(f"{discarded.blobs} files of the run {discarded.run} are deleted")


def _show_all(listed: list[Run], as_json: bool) -> None:
    if as_json:
        print_json({"runs": [run.model_dump(mode="json") for run in listed]})
        return
    if not listed:
        click.echo("No run yet: `dicebox evolve --dataset NAME` starts one.")
        return
    table = Table("run", "dataset", "state", "trained", "best", "network", "started", box=None)
    for run in listed:
        table.add_row(
            run.id,
            run.request.dataset,
            run.state,
            str(run.progress.evaluated),
            _percent(run.progress.best),
            run.network[:12] if run.network else "",
            _moment(run.created),
        )
    print_table(table)


def _show(run: Run, individuals: list[Individual], front: list[Individual]) -> None:
    for line in _facts(run):
        click.echo(line)
    click.echo()
    several = len(run.request.objectives) > 1
    click.echo("Nothing beats these in all objectives:" if several else f"The best {_SHOWN}:")
    best = sorted(individuals, key=lambda each: each.accuracy or 0.0, reverse=True)[:_SHOWN]
    print_table(_individuals(front if several else best))
    failed = Counter(
        f"{each.outcome}: {each.reason}"
        for each in individuals
        if each.outcome not in (None, "ok", "cancelled")
    )
    for reason, count in failed.most_common(_SHOWN):
        click.echo(f"{count} failed, {' '.join(reason.split())}")


def _facts(run: Run) -> list[str]:
    progress, request = run.progress, run.request
    budget = " or ".join(
        f"{value:g} {unit}"
        for value, unit in (
            (request.seconds, "s"),
            (request.evaluations, "candidates"),
            (request.epochs_total, "epochs"),
        )
        if value is not None
    )
    resumed = f", taken up again {run.resumed} times" if run.resumed else ""
    lines = [
        f"run {run.id} of {request.dataset}, {run.state}{resumed}"
        + (f": {run.reason}" if run.reason else ""),
        f"{request.strategy} of {budget}, seed {request.seed}, started {_moment(run.created)}",
        f"{progress.births} born, {progress.evaluated} trained, {progress.failed} failed, "
        f"{progress.epochs} epochs in {progress.seconds:.0f} s",
        f"best {_percent(progress.best)} of validation: {progress.best_genome or '-'}",
    ]
    for rung in progress.rungs:
        name = "final" if rung.rung == "final" else f"rung {rung.rung}"
        lines.append(f"{name}: {rung.ended} trained, best {_percent(rung.best)}")
    if run.network:
        served = "answered from then on" if run.promoted else "was published, not promoted"
        lines.append(f"network {run.network[:12]} {served}")
    return lines


def _individuals(individuals: list[Individual]) -> Table:
    table = Table("no.", "accuracy", "rung", "parameters", "latency", "from", "genome", box=None)
    for each in individuals:
        rungs = [known.rung for known in each.evaluations if known.outcome == "ok"]
        table.add_row(
            str(each.number),
            _percent(each.accuracy),
            rungs[-1] if rungs else "-",
            f"{each.parameters:,}",
            f"{each.latency_us:.0f} µs" if each.latency_us is not None else "-",
            each.operator,
            each.description,
        )
    return table


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
