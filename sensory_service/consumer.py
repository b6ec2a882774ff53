"""Takes shard tasks from the queue until it is asked to end."""

import logging
from collections.abc import Callable, Sequence

from commons.errors import DiceboxError
from commons.ports import Clock, Delivery, Queue
from sensory_service.shard_messages import (
    SHARD_QUEUE,
    MakeShard,
    ShardOutcome,
    order_queue,
    read_message,
)
from sensory_service.shards import ShardMaker, StoppedError

_RECEIVE_S = 0.5
_PAUSE_S = 2.0  # while something cannot be reached, or is full
_REST_S = 60.0  # of a chore, which is less urgent
_LOG = logging.getLogger(__name__)


class BatchProcessor:
    """One process of any number; what it does not finish, another one does.

    Args:
        queue: Where the tasks come from, and where their outcomes go.
        maker: Makes one shard.
        clock: Waits while something cannot be reached.
        chores: Called when no task came, until one says that there was something to do. One that
            fails rests for a minute; the others do not.
        attempts: A shard that failed this often for no known reason fails its orders.
    """

    def __init__(
        self,
        queue: Queue,
        maker: ShardMaker,
        clock: Clock,
        *,
        chores: Sequence[Callable[[], bool]] = (),
        attempts: int = 5,
    ) -> None:
        self._queue = queue
        self._maker = maker
        self._clock = clock
        self._chores = chores
        self._rested = [-float("inf")] * len(chores)
        self._attempts = attempts

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until `stopped` says to end, whatever fails on the way."""
        while not stopped():
            try:
                self.step(stopped)
            except DiceboxError as error:
                _LOG.warning("cannot work at the moment: %s", error)
                self._clock.sleep(_PAUSE_S)
            except Exception:
                _LOG.exception("a shard task failed; it comes again")

    def step(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Handle one task, if one comes in time, and say whether one came."""
        delivery = self._queue.receive(SHARD_QUEUE, _RECEIVE_S)
        if delivery is not None:
            self._handle(delivery, stopped)
        else:
            self._do_a_chore()
        return delivery is not None

    def _do_a_chore(self) -> None:
        for number, chore in enumerate(self._chores):
            if self._clock.monotonic() >= self._rested[number] and self._is_done(number, chore):
                return

    def _is_done(self, number: int, chore: Callable[[], bool]) -> bool:
        try:
            return chore()
        except DiceboxError as error:
            _LOG.warning("what is done when idle rests for %g s: %s", _REST_S, error)
        except Exception:
            # An outermost loop too: shards, and the other chores, do not wait for this one.
            _LOG.exception("what is done when idle failed; it rests for %g s", _REST_S)
        self._rested[number] = self._clock.monotonic() + _REST_S
        return False

    def _handle(self, delivery: Delivery, stopped: Callable[[], bool]) -> None:
        task = read_message(MakeShard, delivery.body)
        if task is None:
            self._queue.reject(delivery)
            return
        try:
            outcome = self._outcome(task.shard, delivery.attempt, stopped)
            if outcome is not None:
                body = outcome.model_dump_json().encode()
                self._queue.publish(order_queue(task.order), [body])
        except StoppedError:
            # Somebody else, or the next start, takes it at once instead of after the lease.
            self._publish_again(delivery)
        except DiceboxError:
            # No fault of the shard: this attempt does not count.
            self._publish_again(delivery)
            raise
        except Exception:
            self._queue.release(delivery)
            raise
        else:
            self._queue.acknowledge(delivery)

    def _publish_again(self, delivery: Delivery) -> None:
        self._queue.publish(SHARD_QUEUE, [delivery.body])
        self._queue.acknowledge(delivery)

    def _outcome(
        self, shard: int, attempt: int, stopped: Callable[[], bool]
    ) -> ShardOutcome | None:
        if attempt > self._attempts:
            reason = f"a shard could not be made in {self._attempts} attempts"
            return ShardOutcome(shard=shard, reason=reason)
        return self._maker.make(shard, stopped)
