"""What to label next: every image for one person at a time."""

from collections.abc import Callable

from commons.label_messages import LabelQueue, QueueRequest, ReleaseRequest, SkipRequest
from commons.ports import Clock
from sensory_service.ports import Lease, QueueCatalog, Skip


class QueueDesk:
    """The use cases of the queue.

    Args:
        catalog: Who holds what.
        clock: Says until when; that of the tables' machine is not asked.
        draw: Returns 64 hexadecimal digits: where a random order begins.
    """

    def __init__(self, catalog: QueueCatalog, clock: Clock, draw: Callable[[], str]) -> None:
        self._catalog = catalog
        self._clock = clock
        self._draw = draw

    def take(self, dataset: str, request: QueueRequest) -> LabelQueue:
        """Return unlabeled images that are this client's for some time, its own ones first.

        Raises:
            NotFoundError: No such dataset or category.
        """
        return self._catalog.take(Lease(dataset, request, self._clock.now(), self._draw()))

    def skip(self, dataset: str, request: SkipRequest) -> None:
        """Keep images away from a client for some time; others get them.

        Raises:
            NotFoundError: No such dataset.
        """
        until = self._clock.now() + request.hold_s
        self._catalog.skip(Skip(dataset, request.client, request.images, until))

    def release(self, dataset: str, request: ReleaseRequest) -> None:
        """Let go of all that is held for a client; what it skipped stays skipped.

        Raises:
            NotFoundError: No such dataset.
        """
        self._catalog.release(dataset, request.client)
