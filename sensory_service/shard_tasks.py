"""The words between the service and its batch processors."""

import json
from collections.abc import Sequence

from commons.errors import DiceboxError
from commons.ports import Clock, Queue
from sensory_service.ports import ShardCatalog

SHARD_QUEUE = "sensory.shards"


class ShardTasks:
    """Sends the tasks of shards to the batch processors, and sends the lost ones again.

    The tables are the truth and a task says only which shard: losing every task costs time.
    """

    def __init__(
        self, queue: Queue, shards: ShardCatalog, clock: Clock, reissue_after_s: float
    ) -> None:
        self._queue = queue
        self._shards = shards
        self._clock = clock
        self._reissue_after_s = reissue_after_s

    def send(self, shards: Sequence[int]) -> None:
        """Publish one task a shard; the same shard twice is harmless.

        Raises:
            UnavailableError: The queue cannot be reached; the tasks count as lost.
            StorageFullError: No space is left in it; likewise.
        """
        try:
            self._queue.publish(SHARD_QUEUE, [_body(shard) for shard in shards])
        except DiceboxError:
            self._shards.unsent(shards)
            raise

    def shard_of(self, body: bytes) -> int | None:
        """Return the shard that a task names, or nothing if it is no task."""
        try:
            shard = json.loads(body)["shard"]
        except (ValueError, KeyError, TypeError):
            return None
        return shard if isinstance(shard, int) else None

    def send_lost(self) -> int:
        """Publish the tasks that have had no result for too long and return how many."""
        now = self._clock.now()
        lost = self._shards.overdue(now - self._reissue_after_s, now)
        self.send(lost)
        return len(lost)


def _body(shard: int) -> bytes:
    return json.dumps({"shard": shard}).encode()
