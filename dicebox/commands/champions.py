"""`dicebox networks promote|rollback|try|trials|stop|history`: who answers, and who shall."""

from datetime import UTC, datetime

import click
from rich.table import Table

from commons.trial_messages import ReignEvent, Trial, TrialMode, TrialRequest
from dicebox.client import Client
from dicebox.commands.network_choice import chosen
from dicebox.commands.options import DatasetType, as_json, print_json, print_table
from dicebox.connect import Place, connect


@click.command()
@click.argument("network")
@as_json
@click.pass_obj
def promote(place: Place, network: str, as_json: bool) -> None:
    """Let NETWORK (an id, the start of one, or a name) answer from now on, uncompared."""
    with connect(place.existing()) as client:
        whole, dataset = _chosen(client, network)
        champion = client.gallery.promote(dataset, whole)
    if as_json:
        print_json(champion.model_dump(mode="json"))
    else:
        click.echo(f"network {whole[:12]} answers for {dataset} from now on")


@click.command()
@click.argument("dataset", type=DatasetType())
@click.option("--reason", metavar="TEXT", help="For `dicebox networks history`.")
@as_json
@click.pass_obj
def rollback(place: Place, dataset: str, reason: str | None, as_json: bool) -> None:
    """Go back to the network that answered for DATASET before; twice goes one further back."""
    with connect(place.existing()) as client:
        # Named, so that of two who do this at once only one goes back.
        present = client.gallery.champion(dataset).network
        champion = client.gallery.roll_back(dataset, present, reason)
    if as_json:
        print_json(champion.model_dump(mode="json"))
    else:
        click.echo(f"network {str(champion.network)[:12]} answers for {dataset} again")


@click.command("try")
@click.argument("network")
@click.option(
    "--mode",
    type=click.Choice(["canary", "shadow", "check"]),
    default="canary",
    show_default=True,
    help="Answer a share of the requests, be asked beside the champion and only compared, or be "
    "compared once on the newest snapshot's validation images.",
)
@click.option(
    "--share",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    metavar="SHARE",
    help="Of the requests; default: 0.1 of a canary, 1 of a shadow.",
)
@click.option(
    "--promote/--no-promote",
    default=True,
    show_default=True,
    help="Whether it becomes the champion once it is found better (a check: not worse).",
)
@as_json
@click.pass_obj
def try_out(
    place: Place, network: str, mode: TrialMode, share: float | None, promote: bool, as_json: bool
) -> None:
    """Put NETWORK on trial beside the champion; one that fails or is slow is sent away."""
    if mode == "check" and (share is not None or not promote):
        raise click.UsageError("a check takes no --share and no --no-promote")
    with connect(place.existing()) as client:
        whole, dataset = _chosen(client, network)
        request = TrialRequest(network=whole, mode=mode, share=share, promote=promote)
        trial = client.gallery.try_out(dataset, request)
    if as_json:
        print_json(trial.model_dump(mode="json"))
    else:
        click.echo(f"network {whole[:12]}: {_fate(trial)}")


@click.command()
@click.argument("dataset", type=DatasetType())
@as_json
@click.pass_obj
def trials(place: Place, dataset: str, as_json: bool) -> None:
    """List the trials of DATASET with what was found, newest first."""
    with connect(place.existing()) as client:
        found = client.gallery.trials(dataset)
    if as_json:
        print_json({"trials": [trial.model_dump(mode="json") for trial in found]})
        return
    if not found:
        click.echo("No trial yet: `dicebox networks try NETWORK` begins one.")
        return
    table = Table("network", "mode", "began", "better", "worse", "of images", box=None)
    for column in ("answers", "errors", "disagreed", "fate"):
        table.add_column(column)
    for trial in found:
        table.add_row(
            trial.network[:12],
            trial.mode,
            _moment(trial.started),
            *(f"{number:,}" for number in (trial.better, trial.worse, trial.images)),
            *(f"{number:,}" for number in (trial.answers, trial.errors)),
            f"{trial.disagreed:,} of {trial.compared:,}",
            _fate(trial),
        )
    print_table(table)


@click.command()
@click.argument("dataset", type=DatasetType())
@click.pass_obj
def stop(place: Place, dataset: str) -> None:
    """End the trial that runs for DATASET; nobody is promoted."""
    with connect(place.existing()) as client:
        trial = client.gallery.stop_trial(dataset)
    click.echo(f"network {trial.network[:12]} is no longer on trial")


@click.command()
@click.argument("dataset", type=DatasetType())
@as_json
@click.pass_obj
def history(place: Place, dataset: str, as_json: bool) -> None:
    """List who answered for DATASET from when on, and why, newest first."""
    with connect(place.existing()) as client:
        events = client.gallery.history(dataset)
    if as_json:
        print_json({"events": [event.model_dump(mode="json") for event in events]})
        return
    if not events:
        click.echo(f"Nobody has answered for {dataset} yet.")
        return
    table = Table("from", "network", "why", box=None)
    for event in events:
        table.add_row(_moment(event.when), event.network[:12], _why(event))
    print_table(table)


def _chosen(client: Client, said: str) -> tuple[str, str]:
    """Return the id and the dataset of the network that is meant."""
    entry = chosen(client, said)
    return str(entry["network"]), str(entry["card"]["dataset"])


def _fate(trial: Trial) -> str:
    if trial.state != "running":
        return f"{trial.state}: {trial.reason}" if trial.reason else trial.state
    if trial.mode == "check":
        return "is being compared with the champion"
    share = f"{100 * trial.share:g} % of the requests"
    return f"answers {share}" if trial.mode == "canary" else f"is asked too for {share}"


def _why(event: ReignEvent) -> str:
    if event.kind == "promotion":
        return "promoted"
    how = "automatic rollback" if event.automatic else "rollback"
    return f"{how} of {str(event.undone)[:12]}: {event.reason}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
