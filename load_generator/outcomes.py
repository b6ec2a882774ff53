"""What became of every request of a run."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from load_generator.schedule import Floats


class Fate(IntEnum):
    """Instead of an HTTP status, where there is none.

    `REFUSED`: no connection was to be had, nothing was sent. `LOST`: it was sent, and the
    connection ended without a whole answer.
    """

    UNSENT = 0
    REFUSED = 1
    LOST = 2
    TIMED_OUT = 3


@dataclass(frozen=True)
class Outcomes:
    """A run, request by request in the order of their due times; seconds from its start.

    Args:
        due: When each was to be sent.
        taken: When it was given to a connection; NaN if it never was.
        ended: When its answer was whole, or it failed; NaN if it was never sent.
        status: The HTTP status of its answer, or a `Fate`.
    """

    due: Floats
    taken: Floats
    ended: Floats
    status: npt.NDArray[np.int16]

    @property
    def is_good(self) -> npt.NDArray[np.bool_]:
        """Say of each whether it was answered with 2xx."""
        good: npt.NDArray[np.bool_] = self.status // 100 == 2  # noqa: PLR2004 - that is success
        return good

    @property
    def is_answered(self) -> npt.NDArray[np.bool_]:
        """Say of each whether there was an answer, of any status."""
        return self.status >= 100  # noqa: PLR2004 - below are fates

    @property
    def latency(self) -> Floats:
        """Return the seconds from the due time to the answer; infinite where none came."""
        return np.where(self.is_answered, self.ended - self.due, np.inf)

    @property
    def lag(self) -> Floats:
        """Return by how many seconds each was sent too late; infinite where it never was."""
        return np.where(np.isnan(self.taken), np.inf, self.taken - self.due)

    def of_fate(self, fate: Fate) -> int:
        """Return how many met a fate."""
        return int(np.count_nonzero(self.status == fate))
