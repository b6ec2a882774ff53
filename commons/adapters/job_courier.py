"""Sees to it that every job that is waited for gets to a worker, and its result back.

Words may be lost, and messages with a broker's disk. So whatever no worker names is looked for
in the blobs, and what no queue holds is published again. Doing so twice is harmless: a job is
taken once and has one result.
"""

import logging
import queue
import threading
from collections import Counter

from commons.adapters.engine_link import Link
from commons.adapters.fleet_board import FleetBoard
from commons.adapters.unanswered_jobs import UnansweredJob, UnansweredJobs, ended
from commons.errors import DiceboxError, UnavailableError
from commons.fleet import DEVICES, jobs_queue
from commons.jobs import Device
from commons.ports import Clock

_LOG = logging.getLogger(__name__)
_RETRY_S = 0.1
# A kill takes two seconds at most.
_KILL_S = 1.8
_MOST_PUBLISHED = 5


class JobCourier:
    """Two threads of an engine: one publishes, one looks after what is published.

    Args:
        replies: The queue that workers tell of the jobs.
        poll_s: How often results are looked for that no word told of.
        republish_s: What no worker names and no queue holds for so long is published again; each
            further time takes twice as long, and the fifth is the last.
    """

    def __init__(
        self,
        link: Link,
        board: FleetBoard,
        jobs: UnansweredJobs,
        clock: Clock,
        *,
        replies: str,
        poll_s: float,
        republish_s: float,
    ) -> None:
        self._link = link
        self._board = board
        self._jobs = jobs
        self._clock = clock
        self._replies = replies
        self._poll_s = poll_s
        self._republish_s = republish_s
        self._outgoing: queue.SimpleQueue[UnansweredJob | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._look_now = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin with the work."""
        for run, name in ((self._publish, "jobs-out"), (self._watch, "jobs-watched")):
            thread = threading.Thread(target=run, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def send(self, job: UnansweredJob) -> None:
        """Have a job published as soon as the broker takes it."""
        self._outgoing.put(job)

    def look(self) -> None:
        """Have the jobs looked after now."""
        self._look_now.set()

    def connected(self) -> None:
        """Say that the broker was away: what was under way may be in a queue again."""
        now = self._clock.monotonic()
        for job in self._jobs.all():
            job.seen = now
        self.look()

    def close(self) -> None:
        """End both threads."""
        self._closed.set()
        self._look_now.set()
        self._outgoing.put(None)
        for thread in self._threads:
            thread.join()

    def _publish(self) -> None:
        while (job := self._outgoing.get()) is not None:
            while job.is_wanted and not self._closed.is_set():
                if not job.published and job.spec.device is None:
                    job.kind = self._roomiest()
                try:
                    self._link.submit(job.spec, self._replies, jobs_queue(job.kind))
                except UnavailableError as error:
                    _LOG.info("%s is not published yet: %s", job.spec.id, error)
                    self._closed.wait(_RETRY_S)
                    continue
                job.published += 1
                job.seen = self._clock.monotonic()
                break

    def _roomiest(self) -> Device:
        """Return the kind of worker with the most slots that nothing waits for."""
        running = self._board.running()
        waiting = Counter(
            job.kind for job in self._jobs.all() if job.published and job.spec.id not in running
        )

        def room(kind: Device) -> tuple[bool, int]:
            return self._board.capacity(kind) > 0, self._board.free(kind) - waiting[kind]

        return max(DEVICES, key=room)

    def _watch(self) -> None:
        while not self._closed.is_set():
            hurry = any(job.killed is not None for job in self._jobs.all())
            self._look_now.wait(min(_RETRY_S, self._poll_s) if hurry else self._poll_s)
            self._look_now.clear()
            try:
                self._look()
            except DiceboxError as error:
                _LOG.info("jobs could not be looked after: %s", error)
            except Exception:  # the outermost loop of this thread
                _LOG.exception("jobs could not be looked after")

    def _look(self) -> None:
        """Find what no word told of: results, kills that nobody obeyed, jobs that were lost."""
        now = self._clock.monotonic()
        running = self._board.running()
        for job in self._jobs.all():
            if job.killed is not None and now - job.killed >= _KILL_S:
                self._jobs.give_up(job, "cancelled", "stopped on request")
            elif job.spec.id in running:
                job.seen = now
            else:
                self._jobs.find(job)
        for kind in DEVICES:
            silent = [job for job in self._jobs.all() if self._is_silent(job, kind, now)]
            if silent:
                self._revive(silent, kind, now)

    def _is_silent(self, job: UnansweredJob, kind: Device, now: float) -> bool:
        return (
            job.kind == kind
            and job.published > 0
            and job.killed is None
            and now - job.seen >= self._republish_s
        )

    def _revive(self, jobs: list[UnansweredJob], kind: Device, now: float) -> None:
        """Publish again what cannot be in its queue, or will not be taken from there."""
        counts = self._link.ready(jobs_queue(kind))
        is_empty = counts is None or counts[0] == 0
        is_left = not self._board.capacity(kind) and self._board.capacity() > 0
        for job in jobs:
            patience_s = self._republish_s * 2 ** (job.published - 1)
            if is_left and job.spec.device is None:
                job.published = 0
                self._send_again(job, now)
            elif not is_empty or now - job.seen < patience_s:
                continue
            elif job.published < _MOST_PUBLISHED:
                _LOG.warning("%s is published again: no worker names it", job.spec.id)
                self._send_again(job, now)
            else:
                # No worker that took it ended it: that says nothing of the job.
                reason = f"published {job.published} times, and no worker has it"
                lost = ended(job, "lost", reason).model_copy(update={"platform": True})
                self._jobs.finish(job, lost)

    def _send_again(self, job: UnansweredJob, now: float) -> None:
        # It is not silent again before it is out.
        job.seen = now
        self._outgoing.put(job)
