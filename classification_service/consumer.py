"""The background of the service: jobs and chores, until it is told to end."""

import logging
import threading
from collections.abc import Callable

from classification_service.chores import Chores
from classification_service.job_parts import PartClassifier
from classification_service.job_ports import JobWork
from commons.errors import DiceboxError
from commons.job_messages import JOB_QUEUE, ClassifyPart, read_message
from commons.ports import Clock, Delivery, Queue

_RECEIVE_S = 0.5
_PAUSE_S = 2.0  # while something cannot be reached, or is full
_NAP_S = 0.1
_LAST_CHORE_S = 5.0
_LOOK_EVERY_S = 15.0
# Whoever works on a part says so more often than this.
_LOST_AFTER_S = 60.0
_SENT_AGAIN = 1000
_LOG = logging.getLogger(__name__)


class JobWorker:
    """One process of any number; what it does not finish, another one does.

    Args:
        queue: Where the tasks come from.
        work: Knows which tasks were lost.
        parts: Does what a task says.
        chores: Done in a thread of their own.
        clock: Waits.
        attempts: A part that failed this often for no known reason is given up.
    """

    def __init__(
        self,
        queue: Queue,
        work: JobWork,
        parts: PartClassifier,
        chores: Chores,
        clock: Clock,
        *,
        attempts: int = 5,
    ) -> None:
        self._queue = queue
        self._work = work
        self._parts = parts
        self._chores = chores
        self._clock = clock
        self._attempts = attempts
        self._next_look = -_LOOK_EVERY_S

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until `stopped` says to end, whatever fails on the way."""
        chores = threading.Thread(
            target=self._chores.run, args=(stopped,), name="chores", daemon=True
        )
        chores.start()
        while not stopped():
            try:
                self.step(stopped)
            except DiceboxError as error:
                _LOG.warning("cannot work at the moment: %s", error)
                self._pause(stopped)
            except Exception:
                _LOG.exception("a part of a job failed; it comes again")
        # One that takes longer ends with the process, as if killed.
        chores.join(_LAST_CHORE_S)

    def step(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Handle one task, if one comes in time, and say whether one came."""
        delivery = self._queue.receive(JOB_QUEUE, _RECEIVE_S)
        if delivery is not None:
            self._handle(delivery, stopped)
        elif self._clock.monotonic() >= self._next_look:
            self._next_look = self._clock.monotonic() + _LOOK_EVERY_S
            self._send_lost()
        return delivery is not None

    def _handle(self, delivery: Delivery, stopped: Callable[[], bool]) -> None:
        task = read_message(ClassifyPart, delivery.body)
        if task is None:
            self._queue.reject(delivery)
            return
        try:
            if delivery.attempt > self._attempts:
                reason = f"it could not be worked on in {self._attempts} attempts"
                self._parts.give_up(task.part, reason)
            elif not self._parts.classify(task.part, stopped):
                # At the end of the line: others have their turn, or their start, at once.
                self._queue.publish(JOB_QUEUE, [delivery.body])
        except DiceboxError:
            # No fault of the part: this attempt does not count.
            self._queue.publish(JOB_QUEUE, [delivery.body])
            self._queue.acknowledge(delivery)
            raise
        except Exception:
            self._queue.release(delivery)
            raise
        self._queue.acknowledge(delivery)

    def _send_lost(self) -> None:
        """Send tasks again that nobody has any more; one that comes twice is harmless."""
        now = self._clock.now()
        lost = self._work.lost(now - _LOST_AFTER_S, now, _SENT_AGAIN)
        tasks = [ClassifyPart(part=part).model_dump_json().encode() for part in lost]
        if tasks:
            self._queue.publish(JOB_QUEUE, tasks)

    def _pause(self, stopped: Callable[[], bool]) -> None:
        until = self._clock.monotonic() + _PAUSE_S
        while not stopped() and self._clock.monotonic() < until:
            self._clock.sleep(_NAP_S)
