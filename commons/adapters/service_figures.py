"""Figures of a service for people: counted seldom, however often and by whomever they are asked."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from commons.errors import DiceboxError

_KEPT_S = 5.0
_LOG = logging.getLogger(__name__)


class ServiceFigures:
    """Figures by their names; none while they cannot be counted.

    Args:
        count: Counts them.
        kept_s: For so long they are remembered.
        monotonic: Seconds.
    """

    def __init__(
        self,
        count: Callable[[], Mapping[str, float]],
        kept_s: float = _KEPT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._kept_s = kept_s
        self._now = monotonic
        self._lock = threading.Lock()
        self._until = -float("inf")
        self._figures: dict[str, float] = {}

    def __call__(self) -> dict[str, float]:
        """Return the figures."""
        # Whoever comes while they are counted waits for that, and does not count as well.
        with self._lock:
            if self._now() >= self._until:
                try:
                    self._figures = dict(self._count())
                except DiceboxError as error:
                    _LOG.warning("the figures cannot be counted: %s", error)
                    self._figures = {}
                self._until = self._now() + self._kept_s
            return dict(self._figures)
