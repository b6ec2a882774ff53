"""`dicebox networks` and `dicebox classify`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from commons.errors import DiceboxError
from commons.messages import Classification
from dicebox.client import Client
from dicebox.commands.options import as_json, print_json
from dicebox.connect import Place, connect


@click.command()
@click.option("--dataset", help="Only those of one dataset.")
@as_json
@click.pass_obj
def networks(place: Place, dataset: str | None, as_json: bool) -> None:
    """List the published networks, newest first."""
    with connect(place) as client:
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
    Console().print(table)


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--dataset", help="Whose champion answers; not needed while there is only one.")
@click.option("--network", help="A network by its id instead of the champion.")
@click.option("--top", default=3, show_default=True, type=click.IntRange(1))
@as_json
@click.pass_obj
def classify(
    place: Place,
    files: tuple[Path, ...],
    dataset: str | None,
    network: str | None,
    top: int,
    as_json: bool,
) -> None:
    """Say what FILES show, one line a file; ends with 1 if one could not be classified."""
    results: list[dict[str, Any]] = []
    with connect(place) as client:
        for file in files:
            results.append(_classified(client, file, dataset, network, top))
            if not as_json:
                click.echo(_line(results[-1]), err="error" in results[-1])
    if as_json:
        print_json({"files": results})
    if any("error" in result for result in results):
        raise SystemExit(1)


def _classified(
    client: Client, file: Path, dataset: str | None, network: str | None, top: int
) -> dict[str, Any]:
    try:
        answer: Classification = client.gallery.classify(file.read_bytes(), dataset, network, top)
    except DiceboxError as error:
        return {"file": str(file), "error": str(error), "kind": error.kind}
    return {"file": str(file), **answer.model_dump(mode="json")}


def _line(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"{result['file']}: {result['error']}"
    answers = ", ".join(
        f"{answer['category']['name']} {answer['probability']:.3f}" for answer in result["answers"]
    )
    return f"{result['file']}: {answers}"
