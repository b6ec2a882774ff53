"""`dicebox keys`."""

import secrets
from datetime import UTC, datetime

import click
from rich.table import Table

from commons.auth import SCOPES, KeyRequest, Scope, generate_key
from dicebox.commands.options import as_json, print_json, print_table
from dicebox.connect import Place, connect

_DAY_S = 86400.0


@click.group(short_help="Make, list and revoke API keys.")
def keys() -> None:
    """Make, list and revoke API keys.

    With the first key everybody needs one, this machine too; commands on the data folder have
    one of their own. Give a key to a command by $DICEBOX_KEY or $DICEBOX_KEY_FILE, and to a
    request as `Authorization: Bearer KEY`.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; again for another one. admin may do everything.",
)
@click.option(
    "--days",
    type=click.FloatRange(0.0, 36500.0, min_open=True),
    help="It expires after so many days; default: never.",
)
@as_json
@click.pass_obj
def create(
    place: Place, name: str, scopes: tuple[Scope, ...], days: float | None, as_json: bool
) -> None:
    """Make a key for NAME and print it, this once."""
    expires_in_s = None if days is None else days * _DAY_S
    with connect(place) as client:
        new = client.admin.create_key(
            KeyRequest(name=name, scopes=scopes, expires_in_s=expires_in_s)
        )
    if as_json:
        print_json(new.model_dump(mode="json"))
        return
    click.echo(new.key)
    click.echo(f"Key {new.id} for {new.name}; it is not shown again.", err=True)


@keys.command(name="list")
@as_json
@click.pass_obj
def list_keys(place: Place, as_json: bool) -> None:
    """List the keys, newest first."""
    with connect(place.existing()) as client:
        found = client.admin.keys()
    if as_json:
        print_json({"keys": [key.model_dump(mode="json") for key in found]})
        return
    if not found:
        click.echo("No key yet: `dicebox keys create NAME --scope admin` makes one.")
        return
    table = Table("key", "name", "scopes", "made", "expires", "last used", "revoked", box=None)
    for key in found:
        times = (key.created, key.expires, key.last_used, key.revoked)
        table.add_row(key.id, key.name, " ".join(key.scopes), *map(_time, times))
    print_table(table)


@keys.command()
@click.argument("key")
@as_json
@click.pass_obj
def revoke(place: Place, key: str, as_json: bool) -> None:
    """Revoke KEY, by the id that `list` shows; the cookies it was traded for go with it."""
    with connect(place.existing()) as client:
        revoked = client.admin.revoke_key(key)
    if as_json:
        print_json(revoked.model_dump(mode="json"))
    else:
        click.echo(f"Key {revoked.id} for {revoked.name} is revoked.")


@keys.command()
def generate() -> None:
    """Print a new key that nobody knows yet, for the secret DICEBOX_ADMIN_KEY_FILE of a stack."""
    click.echo(generate_key(secrets.token_bytes))


def _time(seconds: float | None) -> str:
    return (
        "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    )
