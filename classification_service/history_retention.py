"""Takes away what the history has kept long enough."""

from collections.abc import Sequence

from classification_service.history_ports import HistoryTables
from classification_service.recording import classified_blob
from commons.ports import Blobs, Clock

_AT_ONCE = 100  # rows removed in one step: recording waits for each
_MOST_STEPS = 100


class HistoryRetention:
    """Removes classifications that are too old or too many, oldest first.

    Those whose correction is still on its way stay until it has arrived.

    Args:
        tables: Where they are.
        blobs: Where their images are.
        clock: What time it is.
        most_s: How long a classification is kept.
        most: How many are kept.
    """

    def __init__(
        self, tables: HistoryTables, blobs: Blobs, clock: Clock, most_s: float, most: int
    ) -> None:
        self._tables = tables
        self._blobs = blobs
        self._clock = clock
        self._most_s = most_s
        self._most = most

    def step(self) -> int:
        """Remove what is due, as much as is done in a short time; return how many went."""
        before = self._clock.now() - self._most_s
        removed = 0
        for _ in range(_MOST_STEPS):
            count = self._tables.expire(
                before=before, most=self._most, limit=_AT_ONCE, drop=self._drop
            )
            removed += count
            if count < _AT_ONCE:
                break
        return removed

    def _drop(self, images: Sequence[str]) -> None:
        for image in images:
            self._blobs.delete(classified_blob(image))
