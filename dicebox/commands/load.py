"""`dicebox load`."""

from typing import Any

import click

from commons.errors import UnavailableError
from dicebox.commands.options import UrlType
from dicebox.connect import Place
from dicebox.data_folder import DataFolder
from dicebox.house import START_S
from load_generator.command import Asked, load_options, offer, show


@click.command(short_help="Offer a service so many requests a second.")
@click.option(
    "--url",
    type=UrlType(),
    metavar="URL",
    help="Who is asked; default: the server (--url) or the house (--data) before the command.",
)
@load_options
@click.pass_obj
def load(place: Place, /, url: str | None, as_json: bool, **asked: Any) -> None:
    """Send so many images a second to be classified, and say how that went.

    Nothing waits for answers: when each request is sent is drawn before the first one, and
    latency counts from then. A run that could not keep to that is INVALID and ends with 1.

    A URL with a path of its own gets the images there, as they are, in POST requests.
    """
    folder = DataFolder(place.data)
    address = url or place.url or folder.address(patience_s=START_S)
    if address is None:
        raise UnavailableError("nobody serves: start `dicebox up`, or name a server with --url")
    # The house's own key is for the house, wherever --url leads.
    key = place.key or (None if url or place.url else folder.key())
    show(offer(address, key, Asked(**asked)), as_json=as_json)
