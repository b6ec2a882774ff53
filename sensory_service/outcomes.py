"""Takes what became of shards off the queues of the orders and writes it into the tables."""

import logging
import threading
from collections.abc import Callable

from commons.blob_names import shard_blob
from commons.errors import DiceboxError, NotFoundError
from commons.ports import Blobs, Clock, Delivery, Queue
from sensory_service.ports import ErasedMeanwhileError, ShardCatalog
from sensory_service.retention import Retention
from sensory_service.shard_messages import ShardOutcome, order_queue, read_message
from sensory_service.shard_tasks import ShardTasks

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.2
_LOG = logging.getLogger(__name__)


class OutcomeCollector:
    """Runs beside the requests, in every process of the service.

    An outcome is acknowledged when it is in the tables. Whatever is lost on the way, a task or
    an outcome, is asked for again: what has no result in the tables is not done.

    Args:
        queue: Where the outcomes come from.
        shards: Where they are recorded.
        blobs: Where the shards are.
        tasks: Sends lost ones again.
        retention: Ends what nobody needs any more.
        clock: Says when to look for either.
        look_every_s: Seconds between two looks.
    """

    def __init__(
        self,
        queue: Queue,
        shards: ShardCatalog,
        blobs: Blobs,
        tasks: ShardTasks,
        retention: Retention,
        clock: Clock,
        look_every_s: float = 15.0,
    ) -> None:
        self._queue = queue
        self._shards = shards
        self._blobs = blobs
        self._tasks = tasks
        self._retention = retention
        self._clock = clock
        self._look_every_s = look_every_s
        self._next_look = 0.0
        self._awaited: frozenset[str] = frozenset()

    def start(self) -> threading.Event:
        """Start the thread that collects; set the event to end it."""
        stop = threading.Event()
        run = threading.Thread(target=self.run, args=(stop.is_set,), name="outcomes", daemon=True)
        run.start()
        return stop

    def run(self, stopped: Callable[[], bool]) -> None:
        """Collect until `stopped` says to end, whatever fails on the way."""
        pause_s = _FIRST_PAUSE_S
        while not stopped():
            try:
                came = self.step()
            except DiceboxError as error:
                _LOG.warning("cannot collect shards at the moment: %s", error)
                came = 0
            except Exception:
                _LOG.exception("an outcome could not be recorded; it comes again")
                came = 0
            pause_s = _FIRST_PAUSE_S if came else min(2 * pause_s, _LONGEST_PAUSE_S)
            self._clock.sleep(pause_s)

    def step(self) -> int:
        """Record what has come for all orders, and return how much that was."""
        if self._clock.monotonic() >= self._next_look:
            self._next_look = self._clock.monotonic() + self._look_every_s
            self._tasks.send_lost()
            self._retention.step()
        awaited = frozenset(self._shards.awaiting_orders())
        ended, self._awaited = self._awaited - awaited, awaited
        for order in ended:
            self._queue.delete(order_queue(order))
        return sum(self._collect(order) for order in sorted(awaited))

    def _collect(self, order: str) -> int:
        count = 0
        while (delivery := self._queue.receive(order_queue(order), 0.0)) is not None:
            try:
                self._handle(delivery)
            except Exception:
                self._queue.release(delivery)
                raise
            count += 1
        return count

    def _handle(self, delivery: Delivery) -> None:
        outcome = read_message(ShardOutcome, delivery.body)
        if outcome is None:
            self._queue.reject(delivery)
            return
        if outcome.sha256 is not None:
            self._record(outcome.shard, outcome.sha256)
        else:
            self._shards.fail(outcome.shard, outcome.reason or "a shard cannot be made")
        self._queue.acknowledge(delivery)

    def _record(self, shard: int, sha256: str) -> None:
        blob = shard_blob(sha256)
        try:
            self._shards.record(shard, sha256, lambda: self._blobs.exists(blob))
        except ErasedMeanwhileError as error:
            self._blobs.delete(blob)
            self._shards.fail(shard, f"the bytes of image {min(error.erased)} are gone")
        except NotFoundError:
            # It was made for an order that ended, and cleared away since.
            self._shards.unsent([shard])
