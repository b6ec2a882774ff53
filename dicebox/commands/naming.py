"""`dicebox networks name`: what a network is called."""

import click

from dicebox.commands.network_choice import whole_id
from dicebox.commands.options import as_json, print_json
from dicebox.connect import Place, connect


@click.command()
@click.argument("network")
@click.argument("new_name", metavar="[NAME]", required=False)
@click.option("--move", is_flag=True, help="Take NAME from the network that has it.")
@click.option("--remove", is_flag=True, help="Take the name of NETWORK away.")
@as_json
@click.pass_obj
def name(
    place: Place, network: str, new_name: str | None, move: bool, remove: bool, as_json: bool
) -> None:
    """Give NETWORK (an id, the start of one, or a name) the name NAME, instead of the one it has.

    NAME may stand for the id everywhere: 1 to 64 of a-z, 0-9, -, _ and ., with a letter first.
    """
    if (new_name is None) is not remove or (move and remove):
        raise click.UsageError("give NAME, with --move or without, or --remove alone")
    with connect(place.existing()) as client:
        whole = whole_id(client, network)
        if new_name is None:
            named = client.gallery.take_name(whole)
        else:
            named = client.gallery.give_name(whole, new_name, move=move)
    if as_json:
        print_json(named.model_dump(mode="json"))
    elif named.name is None:
        click.echo(f"network {whole[:12]} has no name any more")
    else:
        click.echo(f"network {whole[:12]} is called {named.name} from now on")
