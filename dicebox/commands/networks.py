"""`dicebox networks`: the list, and the commands about who answers."""

from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from dicebox.commands.champions import history, promote, rollback, stop, trials, try_out
from dicebox.commands.naming import name
from dicebox.commands.options import DatasetType, as_json, print_json, print_table
from dicebox.connect import Place, connect


@click.group(invoke_without_command=True, short_help="List the networks; say who answers.")
@click.option("--dataset", type=DatasetType(), help="Only those of one dataset.")
@as_json
@click.pass_context
def networks(context: click.Context, dataset: str | None, as_json: bool) -> None:
    """List the published networks, newest first; or say which of them answers."""
    if context.invoked_subcommand is not None:
        if dataset is not None or as_json:
            raise click.UsageError("--dataset and --json here are for the list alone")
        return
    place: Place = context.obj
    with connect(place.existing()) as client:
        found = client.gallery.networks(dataset)
    if as_json:
        print_json({"networks": found})
        return
    if not found:
        click.echo("No network yet: `dicebox evolve --dataset NAME` breeds one.")
        return
    table = Table("network", "dataset", "champion", "name", box=None)
    for column in ("validation", "parameters", "made"):
        table.add_column(column)
    for network in found:
        card: dict[str, Any] = network["card"]
        table.add_row(
            network["network"][:12],
            card["dataset"],
            "yes" if network["champion"] else "",
            network["name"] or "",
            f"{100 * card['metrics']['validation_accuracy']:.2f} %",
            f"{card['metrics']['parameters']:,}",
            datetime.fromtimestamp(card["created"], UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    print_table(table)


for command in (name, promote, rollback, try_out, trials, stop, history):
    networks.add_command(command)
