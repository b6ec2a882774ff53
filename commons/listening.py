"""Where a process may listen: without keys on this machine alone."""

from collections.abc import Callable

from commons.errors import InvalidInputError

# The names of this machine, and the address that each stands for.
LOOPBACK = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}


def listening_address(host: str, has_keys: Callable[[], bool], remedy: str) -> str:
    """Return the address to listen on.

    Args:
        host: What was asked for.
        has_keys: Says whether a key is good, or somebody else is asked about keys; called only
            where others could reach the host.
        remedy: How there would be keys.

    Raises:
        InvalidInputError: The host is not of this machine, and there are no keys.
    """
    if host not in LOOPBACK and not has_keys():
        raise InvalidInputError(
            f"expected a loopback address to listen on, got {host}: without keys Dicebox serves "
            f"this machine only; {remedy}"
        )
    return LOOPBACK.get(host, host)
