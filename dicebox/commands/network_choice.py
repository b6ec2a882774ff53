"""How a command's argument becomes the id of a network."""

from commons.errors import InvalidInputError, NotFoundError
from dicebox.client import Client


def whole_id(client: Client, start: str) -> str:
    """Return the one id of a registered network that starts like this.

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
