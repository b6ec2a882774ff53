"""Waits for what a process cannot begin without: a database that is not there yet, room."""

import logging
from collections.abc import Callable
from typing import TypeVar

from commons.errors import StorageFullError, UnavailableError
from commons.ports import Clock

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_NAP_S = 0.2
_LOG = logging.getLogger(__name__)

Value = TypeVar("Value")


def opened(
    create: Callable[[], Value],
    stopped: Callable[[], bool],
    clock: Clock,
    said: Callable[[str], object] = lambda reason: None,
) -> Value | None:
    """Return what `create` returns as soon as it does, or nothing if `stopped` said so first.

    Args:
        create: Called again, after pauses that grow to five seconds.
        stopped: Asked several times a second.
        clock: Waits.
        said: Told why it did not begin yet.

    Raises:
        DiceboxError: What no waiting helps against.
    """
    pause_s = _FIRST_PAUSE_S
    while not stopped():
        try:
            return create()
        except (UnavailableError, StorageFullError) as error:
            _LOG.warning("cannot begin yet: %s", error)
            said(str(error))
        until = clock.monotonic() + pause_s
        while not stopped() and clock.monotonic() < until:
            clock.sleep(_NAP_S)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return None
