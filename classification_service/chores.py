"""What is to be done again and again beside the requests and the jobs."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from commons.errors import DiceboxError
from commons.ports import Clock

_NAP_S = 0.2
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chore:
    """One of them; it may be killed at any point, and then begins anew.

    Args:
        name: What the log calls it.
        interval_s: Seconds from its end, well or not, to its next begin; the first is at once.
        run: Does it.
    """

    name: str
    interval_s: float
    run: Callable[[], object]


class Chores:
    """Does them one after the other; what fails is logged, and comes again with the others."""

    def __init__(self, chores: Sequence[Chore], clock: Clock) -> None:
        self._chores = chores
        self._clock = clock
        self._due = [-float("inf")] * len(chores)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Do what is due until `stopped` says to end."""
        while not stopped():
            self.step(stopped)
            self._clock.sleep(_NAP_S)

    def step(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Do each that is due once."""
        for number, chore in enumerate(self._chores):
            if self._clock.monotonic() >= self._due[number] and not stopped():
                _do(chore)
                self._due[number] = self._clock.monotonic() + chore.interval_s


def _do(chore: Chore) -> None:
    try:
        chore.run()
    except DiceboxError as error:
        _LOG.warning("%s cannot be done at the moment: %s", chore.name, error)
    except Exception:
        # The outermost loop of its thread: the others are done all the same.
        _LOG.exception("%s failed; it is tried again in %g s", chore.name, chore.interval_s)
