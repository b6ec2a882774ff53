"""Takes away what the history has kept long enough."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from classification_service.history_ports import ExpiringHistory
from classification_service.recording import IMAGES, drop_images, image_of
from commons.errors import NotFoundError
from commons.ports import Blobs, Clock

_AT_ONCE = 100  # rows or images removed in one step: recording waits for each
_MOST_STEPS = 100
_SWEEP_EVERY_S = 6 * 3600.0
# Nobody takes so long from storing an image to its row.
_OLD_S = 3600.0


class HistoryRetention:
    """Removes classifications that are too old or too many, oldest first.

    Those whose correction is still on its way stay until it has arrived. Now and then images go
    that have no row: their recorder was killed in between.

    Args:
        tables: Where they are.
        blobs: Where their images are.
        clock: What time it is.
        most_s: How long a classification is kept.
        most: How many are kept.
    """

    def __init__(
        self, tables: ExpiringHistory, blobs: Blobs, clock: Clock, most_s: float, most: int
    ) -> None:
        self._tables = tables
        self._blobs = blobs
        self._clock = clock
        self._most_s = most_s
        self._most = most
        self._drop = partial(drop_images, blobs)
        self._next_sweep = clock.monotonic()

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
        if self._clock.monotonic() >= self._next_sweep:
            self._next_sweep = self._clock.monotonic() + _SWEEP_EVERY_S
            self._sweep()
        return removed

    def _sweep(self) -> None:
        old = self._old_images()
        while some := list(islice(old, _AT_ONCE)):
            self._tables.drop_unrecorded(some, self._drop)

    def _old_images(self) -> Iterator[str]:
        now = self._clock.now()
        for name in self._blobs.names(IMAGES):
            try:
                is_old = now - self._blobs.stored_at(name) > _OLD_S
            except NotFoundError:  # somebody was faster
                continue
            if is_old:
                yield image_of(name)
