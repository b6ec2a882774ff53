"""`dicebox history`."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError
from rich.table import Table

from commons.history_messages import (
    ClassificationId,
    Correction,
    HistoryOrder,
    RecordedClassification,
)
from dicebox.commands.network_choice import whole_id
from dicebox.commands.options import (
    DatasetType,
    ListingGroup,
    as_json,
    print_json,
    print_table,
)
from dicebox.connect import Place, connect

_ID = TypeAdapter[str](ClassificationId)
_LARGEST_PAGE = 1000
_Time = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


class _IdType(click.ParamType[str]):
    """The id of a recorded classification."""

    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id."""
        try:
            return _ID.validate_python(value)
        except ValidationError:
            self.fail(
                f"expected 28 hex digits, as `dicebox history list` shows them, got {value!r}",
                param,
                ctx,
            )


@click.group(cls=ListingGroup, short_help="Look at recorded classifications, and correct them.")
def history() -> None:
    """Look at classifications that were recorded, and correct them.

    Without a command of its own it lists the newest, with the options of `list`.

    `dicebox up` records every classification and keeps it for 30 days; $DICEBOX_RECORD_SHARE
    (0 to 1) says how many of all, $DICEBOX_HISTORY_S for how many seconds. A service that runs
    by itself records none unless it is told to.
    """


@history.command(name="list")
@click.option("--dataset", type=DatasetType(), help="Only those of one dataset.")
@click.option("--network", metavar="NETWORK", help="Only those of a network, by its id or name.")
@click.option("--category", metavar="NAME", help="Only those that answered this.")
@click.option(
    "--min-confidence", type=click.FloatRange(0.0, 1.0), help="Only those at least this probable."
)
@click.option(
    "--max-confidence", type=click.FloatRange(0.0, 1.0), help="Only those less probable than this."
)
@click.option("--since", type=_Time, help="Not before this time (UTC), such as 2030-01-31T12:00.")
@click.option("--until", type=_Time, help="Only before this time (UTC).")
@click.option("--corrected/--not-corrected", default=None, help="Only those, or only the others.")
@click.option(
    "--uncertain", is_flag=True, help="The least certain first: they are worth labeling most."
)
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="Show at most so many.",
)
@as_json
@click.pass_obj
def list_history(
    place: Place,
    dataset: str | None,
    network: str | None,
    category: str | None,
    min_confidence: float | None,
    max_confidence: float | None,
    since: datetime | None,
    until: datetime | None,
    corrected: bool | None,
    uncertain: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List what was classified, newest first."""
    order: HistoryOrder = "uncertain" if uncertain else "newest"
    with connect(place.existing()) as client:
        listed = client.history.list(
            dataset=dataset,
            network=whole_id(client, network) if network else None,
            category=category,
            min_confidence=min_confidence,
            max_confidence=max_confidence,
            since=_seconds(since),
            until=_seconds(until),
            corrected=corrected,
            order=order,
            page=min(limit, _LARGEST_PAGE),
        )
        found = list(islice(listed, limit))
    if as_json:
        print_json({"classifications": [one.model_dump(mode="json") for one in found]})
    elif found:
        print_table(_table(found))
    else:
        click.echo("Nothing is recorded that fits: `dicebox history --help` says what is.")


@history.command()
@click.argument("classification", type=_IdType(), metavar="ID")
@click.option(
    "-o",
    "--image",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Save its picture there.",
)
@as_json
@click.pass_obj
def show(place: Place, classification: str, image: Path | None, as_json: bool) -> None:
    """Show the classification ID."""
    with connect(place.existing()) as client:
        found = client.history.get(classification)
        if image is not None:
            image.write_bytes(client.history.image(classification))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    click.echo(f"classification {found.id} of {found.dataset}, {_moment(found.at)}")
    click.echo(f"image {found.image}")
    click.echo(f"network {found.network}")
    for answer in found.answers:
        click.echo(f"  {answer.probability:.3f} {answer.category.name}")
    if found.correction is not None:
        click.echo(_corrected(found.correction))


@history.command()
@click.argument("classification", type=_IdType(), metavar="ID")
@click.argument("category")
@as_json
@click.pass_obj
def correct(place: Place, classification: str, category: str, as_json: bool) -> None:
    """Say that the picture of ID really shows CATEGORY.

    The picture goes with this label to its dataset, where the next training finds it. That is
    certain when the command ends, and done as soon as `dicebox up` or a job worker runs and the
    sensory service answers.
    """
    with connect(place.existing()) as client:
        correction = client.history.correct(classification, category)
    if as_json:
        print_json(correction.model_dump(mode="json"))
    else:
        click.echo(_corrected(correction))


@history.command()
@click.argument("classification", type=_IdType(), metavar="ID")
@as_json
@click.pass_obj
def remove(place: Place, classification: str, as_json: bool) -> None:
    """Remove the classification ID for good, and its picture if no other one needs it.

    A label that a correction gave stays. `dicebox purge` erases a picture everywhere.
    """
    with connect(place.existing()) as client:
        client.history.remove(classification)
    if as_json:
        print_json({"removed": classification})
    else:
        click.echo(f"{classification} is removed")


def _table(found: list[RecordedClassification]) -> Table:
    table = Table("id", "when", "dataset", "answer", "", "ahead by", "corrected to", box=None)
    for one in found:
        best = one.answers[0]
        table.add_row(
            one.id,
            _moment(one.at),
            one.dataset,
            best.category.name,
            f"{best.probability:.3f}",
            f"{one.margin:.3f}",
            one.correction.category if one.correction else "",
        )
    return table


def _corrected(correction: Correction) -> str:
    who = f" by {correction.who}" if correction.who else ""
    state = {
        "waiting": "on its way to the dataset",
        "sent": "in the dataset",
        "refused": f"refused: {correction.reason}",
    }
    return f"corrected to {correction.category}{who}, {state[correction.state]}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.replace(tzinfo=UTC).timestamp()
