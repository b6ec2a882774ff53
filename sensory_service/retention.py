"""Ends orders whose time is over, and deletes the shards that nobody waits for any more."""

from functools import partial

from commons.ports import Blobs, Clock, Queue
from sensory_service.blob_names import shard_blob
from sensory_service.ports import OrderCatalog, ShardCatalog
from sensory_service.shard_messages import order_queue


class Retention:
    """What the service keeps of batch orders, and for how long.

    An open order keeps its shards, so that whoever orders the same meanwhile finds them made.
    It expires; then it answers 410 for as long again, and is forgotten.

    Args:
        orders: What expires.
        shards: What is deleted when no open order is left that holds it.
        blobs: Where the shards are.
        queue: Where queues of forgotten orders may be left.
        clock: What time it is.
    """

    def __init__(
        self, orders: OrderCatalog, shards: ShardCatalog, blobs: Blobs, queue: Queue, clock: Clock
    ) -> None:
        self._orders = orders
        self._shards = shards
        self._blobs = blobs
        self._queue = queue
        self._clock = clock

    def step(self) -> None:
        """Do what is due; killed at any point, the next step goes on there."""
        now = self._clock.now()
        for order in [*self._orders.expire(now), *self._orders.forget(now)]:
            self._queue.delete(order_queue(order))
        for sha256 in self._shards.discard():
            self._shards.clear(sha256, partial(self._blobs.delete, shard_blob(sha256)))
