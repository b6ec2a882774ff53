"""The front door: the `dicebox` command, the Python client, and `up` (all on one machine).

`house.House` runs the services of one data folder as child processes; `front` is the one
address they share; `connect` finds the house of a data folder or opens the folder itself.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicebox.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """Import the client when it is asked for: the command's first moments need none of it."""
    if name != "Client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dicebox.client import Client  # noqa: PLC0415 - see above

    return Client
