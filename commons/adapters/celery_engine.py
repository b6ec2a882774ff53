"""The engine of many machines: jobs go through Celery's queues to workers that come and go.

Each job is published under its id and told of by words (`commons.fleet`). What counts is in the
blobs; `commons.adapters.job_courier` sees to it that nothing is lost on the way.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from commons.adapters.engine_link import Link
from commons.adapters.fleet_board import FleetBoard
from commons.adapters.job_courier import JobCourier
from commons.adapters.unanswered_jobs import UnansweredJobs, ended
from commons.errors import UnavailableError
from commons.fleet import (
    ASKS,
    BEATS,
    Ask,
    Ended,
    Report,
    Started,
    Stop,
    Word,
    WorkerBeat,
    checked_size,
    running_queue,
)
from commons.jobs import JobEvent, JobResult, JobSpec, WorkerInfo
from commons.ports import Blobs, Clock

_LOG = logging.getLogger(__name__)
_KEPT_EVENTS = 10_000
# A queue of replies outlives an engine that is cut off for so long; then nobody wants its jobs.
_REPLIES_S = 600.0
_RETRY_S = 0.1
_CLOSE_S = 2.0


def open_link(broker_url: str, clock: Clock, on_connected: Callable[[], None]) -> Link:
    """Return a link to RabbitMQ."""
    # Without a broker nobody needs Celery, which is in an extra of its own.
    from commons.adapters.broker_link import BrokerLink  # noqa: PLC0415
    from commons.adapters.celery_app import create_celery  # noqa: PLC0415

    return BrokerLink(create_celery(broker_url), clock=clock, on_connected=on_connected)


class CeleryEngine:
    """`commons.ports.Engine` on the workers of all machines. Connects when it is first used.

    `submit`, `capacity` and `workers` raise `UnavailableError` when the engine is closed or the
    broker has been away for longer than `patience_s`.

    Args:
        broker_url: RabbitMQ, as `amqp://user:password@host:port/vhost`.
        blobs: Where the workers store results.
        clock: Says how long nothing was heard.
        workers: The most slots that are used at once; none: all there are.
        patience_s: How long a broker may be away.
        poll_s: How often results are looked for that no word told of.
        republish_s: A job that no worker names and no queue holds for so long is published again.
        link_to: Connects to the broker.
    """

    def __init__(
        self,
        *,
        broker_url: str,
        blobs: Blobs,
        clock: Clock,
        workers: int | None = None,
        patience_s: float = 300.0,
        poll_s: float = 2.0,
        republish_s: float = 10.0,
        link_to: Callable[[str, Clock, Callable[[], None]], Link] = open_link,
    ) -> None:
        self._clock = clock
        self._most = workers
        self._patience_s = patience_s
        self._link = link_to(broker_url, clock, self._on_connected)
        self._board = FleetBoard(clock)
        self._jobs = UnansweredJobs(blobs)
        self._replies = f"dicebox.replies.{uuid.uuid4().hex[:12]}"
        self._courier = JobCourier(
            self._link,
            self._board,
            self._jobs,
            clock,
            replies=self._replies,
            poll_s=poll_s,
            republish_s=republish_s,
        )
        self._lock = threading.Lock()
        self._events: deque[JobEvent] = deque(maxlen=_KEPT_EVENTS)
        self._sequence = 0
        self._started = False
        self._closed = False

    def submit(self, spec: JobSpec) -> "Future[JobResult]":
        """Return the future result of a job; the same id twice is the same future.

        Raises:
            TooLargeError: It is above `commons.fleet.MOST_BYTES`; data goes through the blobs.
            UnavailableError: The engine is closed, or the broker or the blobs are gone.
        """
        self._use()
        checked_size(spec.model_dump_json().encode(), f"the job {spec.id}")
        job, is_new = self._jobs.enter(spec)
        if is_new:
            self._courier.send(job)
        return job.future

    def kill(self, job_id: str) -> bool:
        """Stop a waiting or running job; say whether there was one."""
        job = self._jobs.get(job_id)
        if job is None:
            return False
        if job.killed is None:
            job.killed = self._clock.monotonic()
        try:
            running = self._link.tell(running_queue(job_id), Stop(job=job_id))
        except UnavailableError:
            # Nobody can say: it gets its result when a worker has had the time to end it.
            running = True
        if running:
            self._courier.look()
        else:
            self._jobs.give_up(job, "cancelled", "before it started")
        return True

    def capacity(self) -> int:
        """Return how many jobs can run at once: 0 while there is no worker."""
        self._use()
        slots = self._board.capacity()
        return slots if self._most is None else min(slots, self._most)

    def workers(self) -> list[WorkerInfo]:
        """Return the slots of all workers with what each of them does, for whomever."""
        self._use()
        return self._board.slots()

    def events(self, after: int) -> list[JobEvent]:
        """Return the progress events with a sequence above `after`, of the last 10,000."""
        with self._lock:
            return [event for event in self._events if event.sequence > after]

    def wait_for_workers(self, timeout_s: float) -> int:
        """Return the capacity as soon as there is one, or 0 after that many seconds.

        Raises:
            UnavailableError: The engine is closed, or the broker has been away for too long.
        """
        until = self._clock.monotonic() + timeout_s
        while not (slots := self.capacity()) and self._clock.monotonic() < until:
            self._clock.sleep(_RETRY_S)
        return slots

    def close(self) -> None:
        """End what runs, cancel what waits and store nothing of either; safe to call twice."""
        with self._lock:
            first, self._closed = not self._closed, True
        if not first:
            return
        jobs = self._jobs.close()
        self._courier.close()
        if self._started:
            # What waits has nobody to reply to now, and is not begun any more.
            self._link.stop_listening(self._replies)
            self._stop(job.spec.id for job in jobs if job.published)
        self._link.close()
        for job in jobs:
            job.future.set_result(ended(job, "cancelled", "the engine was closed"))

    def _use(self) -> None:
        with self._lock:
            if self._closed:
                raise UnavailableError("the engine is closed")
            first, self._started = not self._started, True
        if first:
            self._link.listen(self._replies, self._hear, expires_s=_REPLIES_S)
            self._link.listen(None, self._hear, exchange=BEATS)
            self._courier.start()
            # Asked before, upon connecting, the workers may have answered before we listened.
            self._link.announce(ASKS, Ask())
        if (away_s := self._link.away_s()) > self._patience_s:
            raise UnavailableError(f"the broker has been away for {away_s:.0f} s")

    def _stop(self, jobs: Iterable[str]) -> None:
        """End what runs and wait until it has; a worker that cannot be reached ends it later."""
        until = self._clock.monotonic() + _CLOSE_S
        left = [*jobs]
        try:
            while left and self._clock.monotonic() < until:
                left = [
                    job
                    for job in left
                    if self._link.tell(running_queue(job), Stop(job=job, keep=False))
                ]
                self._clock.sleep(_RETRY_S / 2 if left else 0.0)
        except UnavailableError as error:
            _LOG.warning("%d trainings may go on for nobody: %s", len(left), error)

    # What comes from the link.

    def _on_connected(self) -> None:
        self._courier.connected()
        self._link.announce(ASKS, Ask())

    def _hear(self, word: Word) -> None:
        match word:
            case WorkerBeat():
                self._board.hear_beat(word)
            case Started():
                self._board.hear_started(word)
            case Ended():
                self._end(word.result)
            case Report():
                self._report(word)
            case _:
                _LOG.warning("a word that engines do not know: %s", word.word)

    def _end(self, result: JobResult) -> None:
        job = self._jobs.get(result.id)
        # Where one platform is broken the job is in a queue again, and another's turn may come.
        if job is None or (result.platform and self._board.others_run(result.worker or "")):
            return
        self._jobs.finish(job, result)

    def _report(self, word: Report) -> None:
        with self._lock:
            self._sequence += 1
            self._events.append(
                JobEvent(
                    sequence=self._sequence,
                    job=word.job,
                    worker=word.worker,
                    time=word.time,
                    data=word.data,
                )
            )
