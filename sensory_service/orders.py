"""Batch orders: what a client waits for, as a view of shards that all clients share."""

import logging
from collections.abc import Callable

from commons.blob_names import shard_blob
from commons.errors import ConflictError, NotFoundError, StorageFullError, UnavailableError
from commons.messages import Order, OrderRequest, Sha256, ShardDescriptor
from commons.ports import Blobs, Clock
from sensory_service.ports import NewOrder, OrderCatalog, SnapshotCatalog
from sensory_service.shard_layout import cut
from sensory_service.shard_messages import MakeShard
from sensory_service.shard_tasks import ShardTasks

_LOG = logging.getLogger(__name__)


class OrderDesk:
    """The use cases of batch orders.

    Args:
        snapshots: What can be ordered.
        catalog: Orders and their shards.
        tasks: Where the work goes.
        blobs: Where the made shards are.
        clock: Time of the order.
        new_id: Returns the id of a new order.
        lifetime_s: How long an order is kept.
    """

    def __init__(
        self,
        snapshots: SnapshotCatalog,
        catalog: OrderCatalog,
        tasks: ShardTasks,
        blobs: Blobs,
        clock: Clock,
        new_id: Callable[[], str],
        lifetime_s: float,
    ) -> None:
        self._snapshots = snapshots
        self._catalog = catalog
        self._tasks = tasks
        self._blobs = blobs
        self._clock = clock
        self._new_id = new_id
        self._lifetime_s = lifetime_s

    def place(self, request: OrderRequest) -> Order:
        """Return a new order whose shards are on their way, or made already for somebody else.

        Raises:
            NotFoundError: No such snapshot.
            ConflictError: None of the splits has images.
        """
        counts = self._snapshots.get(request.snapshot).counts
        plans = cut(counts, request)
        if not plans:
            raise ConflictError(
                f"expected images in {', '.join(request.splits)} of the snapshot, there are none",
                kind="empty-splits",
            )
        order, now = self._new_id(), self._clock.now()
        unmade = self._catalog.add(NewOrder(order, request, now, now + self._lifetime_s), plans)
        try:
            self._tasks.send([MakeShard(shard=shard, order=order) for shard in unmade])
        except (UnavailableError, StorageFullError):
            # The order stands in the tables; whoever looks for lost tasks sends these.
            _LOG.warning("order %s waits for the queue", order, exc_info=True)
        return self._catalog.get(order)

    def get(self, order: str) -> Order:
        """Return where an order stands."""
        return self._catalog.get(order)

    def cancel(self, order: str) -> Order:
        """Cancel an order and return it; what it alone waited for is not made any more."""
        self._catalog.cancel(order)
        return self._catalog.get(order)

    def shard_after(self, order: str, after: int) -> ShardDescriptor | None:
        """Return the shard that follows a sequence number, or nothing while it is not made."""
        return self._catalog.shard(order, after + 1)

    def shard(self, sha256: Sha256) -> bytes:
        """Return the bytes of a shard.

        Raises:
            NotFoundError: No shard has this hash.
        """
        try:
            return self._blobs.get(shard_blob(sha256))
        except NotFoundError as error:
            raise NotFoundError(f"there is no shard {sha256}", kind="unknown-shard") from error
