"""How a command's argument becomes a network."""

from typing import Any

from commons.errors import InvalidInputError, NotFoundError
from dicebox.client import Client


def chosen(client: Client, said: str) -> dict[str, Any]:
    """Return the entry of the one network that has this name, or whose id starts like this.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: The ids of several start so.
    """
    entries = client.gallery.networks()
    found = [entry for entry in entries if entry["name"] == said]
    found = found or [entry for entry in entries if entry["network"].startswith(said)]
    if not found:
        raise NotFoundError(f"there is no network {said}: `dicebox networks` lists them")
    if len(found) > 1:
        raise InvalidInputError(f"{len(found)} networks start with {said}: give more of the id")
    return found[0]


def whole_id(client: Client, said: str) -> str:
    """Return the id of the network that is meant; raises as `chosen` does."""
    return str(chosen(client, said)["network"])
