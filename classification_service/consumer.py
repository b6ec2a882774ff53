"""The background of the service: what is done beside the requests until it is told to end."""

import threading
from collections.abc import Callable

from classification_service.chores import Chores
from commons.ports import Clock

_NAP_S = 0.2
_LAST_CHORE_S = 5.0


class JobWorker:
    """One process of any number.

    Args:
        chores: Done in a thread of their own.
        clock: Waits.
    """

    def __init__(self, chores: Chores, clock: Clock) -> None:
        self._chores = chores
        self._clock = clock

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until `stopped` says to end, whatever fails on the way."""
        chores = threading.Thread(
            target=self._chores.run, args=(stopped,), name="chores", daemon=True
        )
        chores.start()
        while not stopped():
            self._clock.sleep(_NAP_S)
        # One that takes longer ends with the process, as if killed.
        chores.join(_LAST_CHORE_S)
