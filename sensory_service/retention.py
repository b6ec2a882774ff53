"""Ends orders whose time is over, and deletes the shards that nobody waits for any more."""

from collections.abc import Iterator
from functools import partial

from commons.blob_names import shard_blob
from commons.errors import NotFoundError
from commons.ports import Blobs, Clock, Queue
from sensory_service.ports import OrderCatalog, ShardCatalog
from sensory_service.shard_messages import order_queue

_AT_ONCE = 50  # blobs cleared in one step: recording waits for each
_SWEEP_EVERY_S = 3600.0
# Nobody takes so long from storing a shard to saying so.
_OLD_S = 3600.0


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
        self._next_sweep = 0.0

    def step(self) -> None:
        """Do what is due; killed at any point, the next step goes on there."""
        now = self._clock.now()
        for order in [*self._orders.expire(now), *self._orders.forget(now)]:
            self._queue.delete(order_queue(order))
        for sha256 in self._shards.discard()[:_AT_ONCE]:
            self._shards.clear(sha256, partial(self._blobs.delete, shard_blob(sha256)))
        if self._clock.monotonic() >= self._next_sweep:
            self._next_sweep = self._clock.monotonic() + _SWEEP_EVERY_S
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        """Delete shards that nobody recorded: their processor, or their order, ended before."""
        for name in unrecorded(self._shards, self._blobs):
            try:
                age_s = now - self._blobs.stored_at(name)
            except NotFoundError:  # another process of the service was faster
                continue
            if age_s > _OLD_S:
                self._shards.clear(name.rpartition("/")[2], partial(self._blobs.delete, name))


def unrecorded(shards: ShardCatalog, blobs: Blobs) -> Iterator[str]:
    """Yield the blobs of shards that are not recorded, or not yet."""
    # Listed first: what is stored meanwhile is not among them.
    names = list(blobs.names("shards/"))
    recorded = shards.results()
    return (name for name in names if name.rpartition("/")[2] not in recorded)
