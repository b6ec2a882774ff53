"""Sends the tasks of shards to the batch processors."""

from collections.abc import Sequence

from commons.errors import DiceboxError
from commons.ports import Clock, Queue
from sensory_service.ports import ShardCatalog
from sensory_service.shard_messages import SHARD_QUEUE, MakeShard


class ShardTasks:
    """Sends tasks, and sends the lost ones again.

    The tables are the truth and a task says only which shard: losing every task costs time.
    """

    def __init__(
        self, queue: Queue, shards: ShardCatalog, clock: Clock, reissue_after_s: float
    ) -> None:
        self._queue = queue
        self._shards = shards
        self._clock = clock
        self._reissue_after_s = reissue_after_s

    def send(self, tasks: Sequence[MakeShard]) -> None:
        """Publish tasks; one that comes twice is harmless.

        Raises:
            UnavailableError: The queue cannot be reached; the tasks count as lost.
            StorageFullError: No space is left in it; likewise.
        """
        try:
            bodies = [task.model_dump_json().encode() for task in tasks]
            self._queue.publish(SHARD_QUEUE, bodies)
        except DiceboxError:
            self._shards.unsent([task.shard for task in tasks])
            raise

    def send_lost(self) -> int:
        """Publish the tasks that have had no outcome for too long and return how many."""
        now = self._clock.now()
        lost = self._shards.overdue(now - self._reissue_after_s, now)
        if lost:
            self.send(lost)
        return len(lost)
