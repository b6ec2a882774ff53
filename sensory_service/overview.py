"""What a dataset looks like as a whole, for people: counted seldom, however often it is asked."""

import threading

from commons.label_messages import Balance, ImageGroups
from commons.ports import Clock
from sensory_service.ports import AppearanceCatalog, OverviewCatalog

_REMEMBERED_S = 5.0
_MOST = 64  # datasets that are remembered


class Overview:
    """The use cases of figures about all images of a dataset.

    Args:
        catalog: Counts them.
        appearances: Which of them look alike.
        clock: Says how old a figure is.
    """

    def __init__(
        self, catalog: OverviewCatalog, appearances: AppearanceCatalog, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._appearances = appearances
        self._clock = clock
        self._lock = threading.Lock()
        self._counted: dict[str, tuple[float, Balance]] = {}

    def groups(self, dataset: str, cursor: str | None, limit: int, *, mixed: bool) -> ImageGroups:
        """Return groups of images that look alike; `mixed` ones have different labels.

        Raises:
            NotFoundError: No dataset has this name.
            InvalidInputError: The cursor is not one of ours.
        """
        return self._appearances.groups(dataset, cursor, limit, mixed=mixed)

    def balance(self, dataset: str) -> Balance:
        """Return how the images of a dataset are spread, as it was 5 s ago at most.

        Raises:
            NotFoundError: No dataset has this name.
        """
        # Whoever comes while it is counted waits for the count, and does not count as well.
        with self._lock:
            now = self._clock.monotonic()
            at, balance = self._counted.get(dataset, (now, None))
            if balance is None or now - at >= _REMEMBERED_S:
                balance = self._catalog.balance(dataset)
                while len(self._counted) >= _MOST:
                    del self._counted[next(iter(self._counted))]
                self._counted[dataset] = (now, balance)
            return balance
