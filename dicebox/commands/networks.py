"""`dicebox networks` and `dicebox classify`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from commons.errors import DiceboxError, InvalidInputError, NotFoundError
from commons.messages import Classification
from dicebox.client import Client
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


@click.command(short_help="Say what pictures show.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--dataset",
    type=DatasetType(),
    help="Whose champion answers; not needed while there is only one.",
)
@click.option(
    "--network",
    metavar="ID",
    help="A network by its id, or the start of it, instead of the champion.",
)
@click.option(
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(1, 1000),
    metavar="N",
    help="So many categories a file, the most probable first.",
)
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
    with connect(place.existing()) as client:
        network = _whole_id(client, network) if network else None
        for file in files:
            results.append(_classified(client, file, dataset, network, top))
            if not as_json:
                click.echo(_line(results[-1]), err="error" in results[-1])
    if as_json:
        print_json({"files": results})
    if any("error" in result for result in results):
        raise SystemExit(1)


def _whole_id(client: Client, start: str) -> str:
    """Return the one id that starts like this.

    Raises:
        NotFoundError: None does.
        InvalidInputError: Several do.
    """
    ids = [entry["network"] for entry in client.gallery.networks()]
    found = [whole for whole in ids if whole.startswith(start)]
    if not found:
        raise NotFoundError(f"there is no network {start}: `dicebox networks` lists them")
    if len(found) > 1:
        raise InvalidInputError(f"{len(found)} networks start with {start}: give more of the id")
    return str(found[0])


def _classified(
    client: Client, file: Path, dataset: str | None, network: str | None, top: int
) -> dict[str, Any]:
    name = click.format_filename(file)
    try:
        answer: Classification = client.gallery.classify(file.read_bytes(), dataset, network, top)
    except DiceboxError as error:
        return {"file": name, "error": str(error), "kind": error.kind}
    return {"file": name, **answer.model_dump(mode="json")}


def _line(result: dict[str, Any]) -> str:
    if result.get("kind") == "no-network":
        return f"{result['file']}: no network yet: `dicebox evolve --dataset NAME` breeds one"
    if "error" in result:
        return f"{result['file']}: {result['error']}"
    answers = ", ".join(
        f"{answer['category']['name']} {answer['probability']:.3f}" for answer in result["answers"]
    )
    return f"{result['file']}: {answers}"
