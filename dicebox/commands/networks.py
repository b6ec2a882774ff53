"""`dicebox networks`."""

from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from dicebox.commands.options import DatasetType, as_json, print_json, print_table
from dicebox.connect import Place, connect


@click.command()
@click.option("--dataset", type=DatasetType(), help="Only those of one dataset.")
@as_json
@click.pass_obj
def networks(place: Place, dataset: str | None, as_json: bool) -> None:
    """List the published networks, newest first."""
    with connect(place.existing()) as client:
        found = client.gallery.networks(dataset)
    if as_json:
        print_json({"networks": found})
        return
    if not found:
        click.echo("No network yet: `dicebox evolve --dataset NAME` breeds one.")
        return
    table = Table("network", "dataset", "champion", "validation", "parameters", "made", box=None)
    for network in found:
        card: dict[str, Any] = network["card"]
        table.add_row(
            network["network"][:12],
            card["dataset"],
            "yes" if network["champion"] else "",
            f"{100 * card['metrics']['validation_accuracy']:.2f} %",
            f"{card['metrics']['parameters']:,}",
            datetime.fromtimestamp(card["created"], UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    print_table(table)
