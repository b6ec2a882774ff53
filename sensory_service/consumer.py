"""Takes shard tasks from the queue until it is asked to end."""

import logging
from collections.abc import Callable

from commons.errors import DiceboxError
from commons.ports import Clock, Delivery, Queue
from sensory_service.shard_tasks import SHARD_QUEUE, ShardTasks
from sensory_service.shards import ShardMaker, StoppedError

_RECEIVE_S = 0.5
_LOG = logging.getLogger(__name__)


class BatchProcessor:
    """One process of any number; what it does not finish, another one does.

    Args:
        queue: Where the tasks come from.
        maker: Makes one shard.
        tasks: Reads tasks, and sends lost ones again.
        clock: Says when to look for lost tasks.
        idle: Called when no task came; says whether there was something to do.
        attempts: A shard that failed this often for no known reason fails its orders.
        reconcile_every_s: Seconds between two looks for lost tasks.
    """

    def __init__(
        self,
        queue: Queue,
        maker: ShardMaker,
        tasks: ShardTasks,
        clock: Clock,
        *,
        idle: Callable[[], bool] = lambda: False,
        attempts: int = 5,
        reconcile_every_s: float = 15.0,
    ) -> None:
        self._queue = queue
        self._maker = maker
        self._tasks = tasks
        self._clock = clock
        self._idle = idle
        self._attempts = attempts
        self._reconcile_every_s = reconcile_every_s
        self._next_look = 0.0

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until `stopped` says to end, whatever fails on the way."""
        while not stopped():
            try:
                self.step(stopped)
            except DiceboxError as error:
                _LOG.warning("cannot work at the moment: %s", error)
                self._clock.sleep(_RECEIVE_S)
            except Exception:
                _LOG.exception("a shard task failed; it comes again")

    def step(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Handle one task, if one comes in time, and say whether one came."""
        if self._clock.monotonic() >= self._next_look:
            self._next_look = self._clock.monotonic() + self._reconcile_every_s
            self._tasks.send_lost()
        delivery = self._queue.receive(SHARD_QUEUE, _RECEIVE_S)
        if delivery is not None:
            self._handle(delivery, stopped)
        else:
            self._idle()
        return delivery is not None

    def _handle(self, delivery: Delivery, stopped: Callable[[], bool]) -> None:
        shard = self._tasks.shard_of(delivery.body)
        if shard is None:
            self._queue.reject(delivery)
            return
        if delivery.attempt > self._attempts:
            self._maker.give_up(shard, f"a shard could not be made in {self._attempts} attempts")
        else:
            self._make(shard, stopped)
        self._queue.acknowledge(delivery)

    def _make(self, shard: int, stopped: Callable[[], bool]) -> None:
        try:
            self._maker.make(shard, stopped)
        except StoppedError:
            # Somebody else, or the next start, takes it at once instead of after the lease.
            self._tasks.send([shard])
