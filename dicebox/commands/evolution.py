"""`dicebox evolve`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from rich.console import Console

from commons.errors import DiceboxError
from commons.jobs import Device
from commons.messages import Fidelity, Run, RunRequest
from dicebox.client import Client
from dicebox.commands.options import (
    LONGEST_S,
    DatasetType,
    as_json,
    engine_option,
    given,
    print_json,
    promote_option,
    resize_option,
    seed_option,
    shape_option,
    split_names,
    typed_command,
    workers_option,
)
from dicebox.commands.run_files import found_run, read_genomes, read_taxonomy
from dicebox.connect import Place, connect_to_workers
from dicebox.run_display import progress_console, resumed_run, started_run, watch_run

_INTERRUPTED = 130
_DEFAULT_S = 60.0
_SWITCHES = {name.replace("_", "-"): name for name in Fidelity.model_fields}
_GENERATIONAL = ("generations", "retain", "random_select", "mutate_chance")
Function = TypeVar("Function", bound=Callable[..., Any])


def _options(*options: Callable[[Any], Any]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_budget_options = _options(
    click.option(
        "--seconds",
        type=click.FloatRange(1.0, LONGEST_S),
        metavar="S",
        help="Wall-clock budget, final training included; default: 60, or none where one of the "
        "next two is given. What ends first ends the run.",
    ),
    click.option(
        "--evaluations",
        type=click.IntRange(1),
        metavar="N",
        help="Train at most that many candidates.",
    ),
    click.option(
        "--epochs-total",
        type=click.IntRange(1),
        metavar="N",
        help="Train at most so many epochs of all candidates together.",
    ),
)
_search_options = _options(
    click.option(
        "--population",
        type=click.IntRange(2, 10_000),
        default=16,
        show_default=True,
        metavar="N",
        help="So many candidates live at once; the oldest makes room for the next.",
    ),
    click.option(
        "--strategy",
        type=click.Choice(["evolution", "random", "generational", "seeds"]),
        show_default="evolution",
        help="Generational is the classic; random search and the seeds alone are to compare with.",
    ),
    click.option(
        "--generations",
        type=click.IntRange(1),
        metavar="N",
        help="Of the classic, which this and the next three choose: so many are bred.",
    ),
    click.option(
        "--retain",
        type=click.FloatRange(0.0, 1.0, min_open=True),
        metavar="SHARE",
        help="Of the classic: so many of a generation live on.",
    ),
    click.option(
        "--random-select",
        type=click.FloatRange(0.0, 1.0),
        metavar="CHANCE",
        help="Of the classic: each of the others does with this chance.",
    ),
    click.option(
        "--mutate-chance",
        type=click.FloatRange(0.0, 1.0),
        metavar="CHANCE",
        help="Of the classic: each gene of a child is drawn anew with this chance.",
    ),
    click.option(
        "--without",
        metavar="A,B,…",
        help=f"Leave out what makes a search cheap: {', '.join(_SWITCHES)}.",
    ),
    click.option(
        "--taxonomy",
        metavar="FILE",
        help="A TOML or JSON file that restricts the search space, or the name of a shipped one.",
    ),
    click.option(
        "--start",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Start with the genomes of this JSON file instead of the known-good ones.",
    ),
)
_goal_options = _options(
    click.option(
        "--objectives",
        default="accuracy",
        show_default=True,
        metavar="A,B,…",
        help="Of accuracy, latency (ONNX, one thread) and parameters; several give a front.",
    ),
    click.option(
        "--max-latency-us",
        type=click.FloatRange(0.0, min_open=True),
        metavar="US",
        help="Publish only what answers for one image within so many microseconds.",
    ),
    click.option(
        "--max-params",
        "max_parameters",
        type=click.IntRange(1),
        metavar="N",
        help="Breed only networks of at most so many parameters.",
    ),
    click.option(
        "--keep-weights",
        type=click.IntRange(1),
        default=5,
        show_default=True,
        metavar="N",
        help="Keep the weights of so many of the best.",
    ),
    promote_option("auto"),
)


@click.command(short_help="Breed a network for a dataset.")
@click.option("--dataset", type=DatasetType(), help="Breed a network for this dataset.")
@click.option(
    "--resume", metavar="RUN", help="Go on with a run that was killed or failed, where it was."
)
@_budget_options
@shape_option
@resize_option
@click.option(
    "--categories", metavar="A,B,…", help="Only these, separated by commas; default: all."
)
@workers_option
@engine_option
@click.option(
    "--device",
    type=click.Choice(get_args(Device)),
    help="Of a fleet, train only where this is; default: on whoever is free.",
)
@seed_option
@click.option(
    "--deterministic",
    is_flag=True,
    help="Be slower, and the same every time: with one worker, without --seconds and latencies.",
)
@_search_options
@_goal_options
@as_json
@click.pass_context
def evolve(
    context: click.Context,
    /,
    as_json: bool,
    resume: str | None,
    engine: str | None,
    **options: Any,
) -> None:
    """Breed a network within a budget, publish it, and let it answer.

    Freezes the dataset's labeled images first. Selection sees validation images only. Ctrl-C
    ends the search early and publishes the best network so far; Ctrl-C again leaves at once.
    What was killed goes on with --resume: nothing that was trained is trained again.
    """
    place: Place = context.obj
    request = None if resume else _request(options)
    if resume:
        _check_alone(context)
    console = progress_console()
    with connect_to_workers(place.existing(), engine=engine) as client:
        if request is None:
            chosen = found_run(client, resume)
            run, interrupted = _watch_or_stop(client, chosen.id, console)
        else:
            run, interrupted = _watch_or_stop(client, request, console)
        if run.network and client.evolution.champion(run.id).epochs == 1:
            console.print("The winner saw each image once at most: give it more time.")
    if interrupted and run.network is None:
        raise KeyboardInterrupt
    if run.network is None:
        raise DiceboxError(_why(run))
    if as_json:
        print_json(run.model_dump(mode="json"))
    else:
        click.echo(_summary(run))
    if interrupted:
        raise SystemExit(_INTERRUPTED)


def _request(options: dict[str, Any]) -> RunRequest:
    """Return what the options ask for.

    Raises:
        UsageError: They do not go together.
        InvalidInputError: A file they name holds nothing of the kind.
    """
    if options["dataset"] is None:
        raise click.UsageError("Missing option '--dataset', or '--resume' with a run.")
    if options["seconds"] is None and not (options["evaluations"] or options["epochs_total"]):
        options["seconds"] = _DEFAULT_S
    classic = {name: options.pop(name) for name in _GENERATIONAL}
    asked = {name: value for name, value in classic.items() if value is not None}
    if asked:
        options["strategy"] = options["strategy"] or "generational"
        if options["strategy"] != "generational":
            name = next(iter(asked)).replace("_", "-")
            raise click.UsageError(f"--{name} is for --strategy generational")
    options["generational"] = asked or None
    without = split_names(options.pop("without")) or []
    unknown = [name for name in without if name not in _SWITCHES]
    if unknown:
        raise click.UsageError(f"--without: expected {', '.join(_SWITCHES)}, got {unknown[0]!r}")
    options["fidelity"] = {_SWITCHES[name]: False for name in without} or None
    options["objectives"] = split_names(options["objectives"])
    options["categories"] = split_names(options["categories"])
    if options["taxonomy"] is not None:
        options["taxonomy"] = read_taxonomy(options["taxonomy"])
    if options["start"] is not None:
        options["start"] = read_genomes(options["start"])
    return given({**options, "command": typed_command()}, null=("seconds",))


def _check_alone(context: click.Context) -> None:
    """Raise if anything was typed beside --resume: the run knows what was asked for."""
    for name in context.params:
        source = context.get_parameter_source(name)
        typed = source is click.core.ParameterSource.COMMANDLINE
        if typed and name not in ("resume", "engine", "as_json"):
            option = name.replace("_", "-").replace("max-parameters", "max-params")
            raise click.UsageError(f"--{option} cannot be changed for a run that is resumed")


def _why(run: Run) -> str:
    again = f"; `dicebox evolve --resume {run.id}` goes on" if run.state == "interrupted" else ""
    return f"the run {run.id} ended as {run.state}: {run.reason}{again}"


def _watch_or_stop(client: Client, what: RunRequest | str, console: Console) -> tuple[Run, bool]:
    """Return the run, a new one or one by its id, at its end; and whether Ctrl-C stopped it."""
    run: Run | None = None
    begun = resumed_run(client, what) if isinstance(what, str) else started_run(client, what)
    try:
        with begun as run:
            return watch_run(client, run.id, console), False
    except KeyboardInterrupt:
        if run is None:
            raise
        console.print(f"Stopping run {run.id}; Ctrl-C again leaves at once.")
        return watch_run(client, run.id, console), True


def _summary(run: Run) -> str:
    progress = run.progress
    served = run.verdict or "is published, not promoted"
    best = f"{100 * progress.best:.2f} %" if progress.best is not None else "-"
    network = run.network[:12] if run.network else "none"
    return (
        f"run {run.id} {run.state}: {progress.evaluated} candidates in {progress.seconds:.0f} s, "
        f"best {best} of validation; network {network} {served}\n{progress.best_genome}"
    )
