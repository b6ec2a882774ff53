"""What a worker does with a job that it is handed: look, take, train, store, tell.

A job trains where its running queue is held (`Link.hold`), so that it never trains twice where
that can be known. Nothing here knows the broker: what comes in and what goes out are words of
`commons.fleet`.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from commons.adapters.desk_table import DeskTable, End, Training
from commons.adapters.platform_faults import PlatformFaults
from commons.adapters.result_store import keep_result
from commons.adapters.worker_presence import JobReports
from commons.errors import DiceboxError, TooLargeError, UnavailableError
from commons.fleet import Ended, Started, Stop, TellToo, Word, running_queue
from commons.jobs import JobResult, JobSpec, stored_result
from commons.ports import Blobs, Clock, Engine

Verdict = Literal["ack", "requeue"]
_STEP_S = 0.25
_SURE_S = 1.0  # a broker hands out the job of a holder that died before it forgets the holder
_RECONNECTING_S = 5.0  # who lost the broker with us may need so long to come back
_KILL_S = 3.0
_LOG = logging.getLogger(__name__)


class Link(Protocol):
    """What the desk needs of the broker.

    All but `let_go` raise `UnavailableError` while the broker is away, and `TooLargeError` for a
    word above `commons.fleet.MOST_BYTES`.
    """

    def tell(self, queue: str, word: Word) -> bool:
        """Send a word to a queue; say whether there is such a queue."""
        ...

    def announce(self, exchange: str, word: Word) -> None:
        """Send a word to whoever listens."""
        ...

    def hold(self, job: str, heard: Callable[[Word], None]) -> bool:
        """Take a job's running queue and hear what comes into it; say whether it was free."""
        ...

    def let_go(self, job: str) -> None:
        """Give a running queue back; one that is not held is no error."""
        ...


class JobDesk:
    """Handles the jobs of one worker, each on the thread that calls `handle`.

    Args:
        engine: Runs them; its capacity is the number of slots.
        blobs: Where results are kept, create-once.
        link: To the engines that submitted them, and to the other workers.
        name: Of this worker, in the whole fleet.
        grace_s: How long the holder of a job that comes again may take to reconnect.
        pause_s: After a fault of the platform a slot takes no job for so long, and longer after
            each further one.
        patience_s: Where faults of the platform let no job end for so long, submitters are told.
        most_starts: A job that was handed out so often without an end is lost.
        observe: Told of every result, and how long its job had waited, in seconds.
    """

    def __init__(
        self,
        engine: Engine,
        blobs: Blobs,
        link: Link,
        clock: Clock,
        *,
        name: str,
        grace_s: float = 2.5,
        pause_s: float = 5.0,
        patience_s: float = 600.0,
        most_starts: int = 10,
        observe: Callable[[JobResult, float], None] = lambda _result, _waited_s: None,
    ) -> None:
        self._engine = engine
        self._blobs = blobs
        self._link = link
        self._clock = clock
        self._name = name
        self._grace_s = grace_s
        self._most_starts = most_starts
        self._observe = observe
        self.table = DeskTable(engine.capacity(), clock)
        self.reports = JobReports(engine, link, self.table, name)
        self._lock = threading.Lock()
        self._inside = 0
        self._faults = PlatformFaults(pause_s, patience_s)
        self._connections = 0
        self._connected_at = clock.monotonic()
        self._hurrying = False

    def handle(
        self,
        spec: JobSpec,
        reply_to: str,
        *,
        redelivered: bool,
        starts: int,
        sent: float,
        current: Callable[[], bool] = lambda: True,
    ) -> Verdict:
        """See one delivery of a job to its end and say what becomes of the message.

        Args:
            spec: The job.
            reply_to: The queue of who submitted it.
            redelivered: Somebody may have begun it.
            starts: How often it was handed out before.
            sent: When it was submitted, in unix seconds.
            current: Says whether the message can still be acknowledged: else the broker hands
                it out again anyway.
        """
        with self._counted():
            try:
                if self._settled(spec, reply_to, redelivered, current):
                    return "ack"
                if self.table.draining or not current():
                    return "requeue"
                if starts >= self._most_starts:
                    return self._lost(spec.id, reply_to, starts)
                training = self.table.enter(spec, reply_to, sent)
                if training is None:
                    self._joined(spec.id, reply_to)
                    return "ack"
                try:
                    return self._take(training, current)
                finally:
                    self.table.leave(training)
            except DiceboxError as error:
                _LOG.warning("%s: %s goes back: %s", self._name, spec.id, error)
                return self._pause(spec.id, [reply_to], str(error))

    def stop(self, job: str, why: End) -> None:
        """Have a training ended, if it is here."""
        if self.table.end(job, why):
            self._engine.kill(job)

    def fence(self, job: str) -> None:
        """End a training that another worker took while the broker was away."""
        _LOG.warning("%s: %s trains elsewhere by now", self._name, job)
        self.stop(job, "fenced")

    def connected(self) -> None:
        """Take note that the link has reached the broker, for the first time or again."""
        with self._lock:
            self._connections += 1
            self._connected_at = self._clock.monotonic()
            again = self._connections > 1
        self.table.changed.set()
        for job in self.table.jobs() if again else ():
            # This process may have stood still so long that another has trained it.
            if stored_result(self._blobs, job) is not None:
                self.stop(job, "stopped")

    def drain(self, grace_s: float) -> None:
        """Take no more jobs; let trainings end, and stop and give back those that do not.

        Args:
            grace_s: How long trainings may take to end.
        """
        self.table.drain()
        self._wait(grace_s, lambda: not self.table.jobs() or self._hurrying)
        for job in self.table.jobs():
            self.stop(job, "drained")
        self._wait(_KILL_S, lambda: not self._inside)

    def hurry(self) -> None:
        """Have a drain wait for no training any longer."""
        self._hurrying = True

    # What follows is in the order in which `handle` comes to it.

    def _settled(
        self, spec: JobSpec, reply_to: str, redelivered: bool, current: Callable[[], bool]
    ) -> bool:
        """Say whether a job has a result or trains somewhere; who asked is told then."""
        if self._answered(spec.id, [reply_to]) or self._joined(spec.id, reply_to):
            return True
        doubtful = redelivered or self._reconnected()
        return doubtful and self._waited_for_holder(spec.id, reply_to, current)

    def _answered(self, job: str, replies: list[str]) -> bool:
        """Tell a result that is stored; say whether there is one."""
        known = stored_result(self._blobs, job)
        if known is not None:
            self._tell_all(replies, Ended(result=known))
        return known is not None

    def _joined(self, job: str, reply_to: str) -> bool:
        """Add who wants to know of a training that is here; say whether it is."""
        training = self.table.join(job, reply_to)
        if training is not None:
            self._tell(reply_to, self._start_of(training))
        return training is not None

    def _reconnected(self) -> bool:
        """Say whether the broker came back just now, and others with us."""
        with self._lock:
            again = self._connections > 1
            return again and self._clock.monotonic() < self._connected_at + _RECONNECTING_S

    def _waited_for_holder(self, job: str, reply_to: str, current: Callable[[], bool]) -> bool:
        """Say whether somebody trains a job, once who does has had the time to reconnect.

        The queue is not held meanwhile, for that would take it from its holder.
        """
        began = self._clock.monotonic()
        while not self.table.draining and current():
            try:
                if self._is_surely_held(job, reply_to):
                    return True
                if self._clock.monotonic() >= max(began, self._connected_at) + self._grace_s:
                    break
            except UnavailableError:
                pass
            self._clock.sleep(min(_STEP_S, self._grace_s))
        return self._answered(job, [reply_to])

    def _is_surely_held(self, job: str, reply_to: str) -> bool:
        """Say whether a job trains somewhere, now and a moment later; its holder is told to tell.

        Raises:
            UnavailableError: Nobody can say.
        """
        word = TellToo(job=job, reply_to=reply_to)
        if not self._link.tell(running_queue(job), word):
            return False
        self._clock.sleep(min(_SURE_S, self._grace_s))
        return self._link.tell(running_queue(job), word)

    def _lost(self, job: str, reply_to: str, starts: int) -> Verdict:
        reason = f"{starts} workers ended or lost their broker while they had it"
        kept = self._kept(JobResult(id=job, outcome="lost", reason=reason))
        if kept is None:
            return "requeue"
        self._tell(reply_to, Ended(result=kept))
        return "ack"

    def _take(self, training: Training, current: Callable[[], bool]) -> Verdict:
        job = training.spec.id
        held = self._held(job, current)
        if held is None:
            return "requeue"
        if not held:
            replies = self.table.leave(training)
            told = [
                self._tell(running_queue(job), TellToo(job=job, reply_to=reply))
                for reply in replies
            ]
            # Where its holder has ended meanwhile, the next look finds what became of it.
            return "ack" if all(told) or self._answered(job, replies) else "requeue"
        fault = None
        try:
            # Who wanted its end before it was held has stored that.
            if self._answered(job, training.replies):
                return "ack"
            if not self._tell_all(training.replies, self._start_of(training)):
                _LOG.info("%s: nobody waits for %s any more", self._name, job)
                return "ack"
            result = self._trained(training)
            if result.platform or result.outcome == "lost":
                fault = result.reason or result.outcome
            verdict = self._ended(training, result)
        finally:
            self._link.let_go(job)
        if fault is not None and verdict == "requeue":
            self._pause(job, self.table.leave(training), fault)
        return verdict

    def _held(self, job: str, current: Callable[[], bool]) -> bool | None:
        """Say whether the running queue was free; nothing where that is of no use any more."""
        while not self.table.draining and current():
            try:
                return self._link.hold(job, self._heard)
            except UnavailableError:
                self._clock.sleep(_STEP_S)
        return None

    def _heard(self, word: Word) -> None:
        """Answer what comes into the running queue of a job that is here."""
        if isinstance(word, Stop):
            self.stop(word.job, "stopped" if word.keep else "unwanted")
        elif isinstance(word, TellToo) and not self._joined(word.job, word.reply_to):
            self._answered(word.job, [word.reply_to])

    def _trained(self, training: Training) -> JobResult:
        future = self._engine.submit(training.spec)
        if training.end is not None:
            # It was to end before the engine knew it.
            self._engine.kill(training.spec.id)
        self.table.changed.set()
        return future.result()

    def _ended(self, training: Training, result: JobResult) -> Verdict:
        """Store and tell what a training gave, as far as that is anybody's."""
        if training.end == "fenced":
            return "requeue"
        if result.outcome == "cancelled" and training.end != "stopped":
            return "ack" if training.end == "unwanted" else "requeue"
        if result.platform or result.outcome == "lost":
            if not self._faults.blame(result.id):
                return "requeue"
            result = result.model_copy(update={"platform": False})
        else:
            self._faults.over()
        kept = self._kept(result, training)
        if kept is None:
            return "requeue"
        self._faults.forget(kept.id)
        self.table.count(kept)
        self._observe(kept, training.waited_s)
        self.reports.forward()
        self._tell_all(self.table.leave(training), Ended(result=kept))
        return "ack"

    def _pause(self, job: str, replies: list[str], reason: str) -> Verdict:
        """Keep this slot from the next job for a while: it would fare no better.

        Who waits for the job is told where it has been so for long; it stays a job all the same.
        """
        self.table.fail(reason)
        now = self._clock.monotonic()
        rest_s = self._faults.rest_s(now)
        if self._faults.has_lasted(now):
            fault = JobResult(
                id=job, outcome="error", reason=reason, worker=self._name, platform=True
            )
            self._tell_all(replies, Ended(result=fault))
        self._wait(rest_s, lambda: self.table.draining)
        return "requeue"

    def _kept(self, result: JobResult, training: Training | None = None) -> JobResult | None:
        """Return what the blobs hold of a job in the end; nothing where they take nothing."""
        return keep_result(
            self._blobs,
            self._clock,
            result,
            wanted=lambda: training is None or training.end != "fenced",
            patient=lambda: not self.table.draining,
        )

    def _start_of(self, training: Training) -> Started:
        return Started(
            job=training.spec.id,
            worker=self._name,
            slot=training.slot,
            time=training.since,
            waited_s=training.waited_s,
        )

    def _tell_all(self, replies: list[str], word: Word) -> bool:
        """Tell a word to some queues; say whether there is any of them."""
        told = [self._tell(reply_to, word) for reply_to in [*replies]]
        return any(told)

    def _tell(self, queue: str, word: Word) -> bool:
        """Tell a word; one that cannot be told counts as told, for who waits also looks."""
        try:
            return self._link.tell(queue, word)
        except (TooLargeError, UnavailableError):
            return True

    def _wait(self, seconds: float, done: Callable[[], bool]) -> None:
        until = self._clock.monotonic() + seconds
        while not done() and (left := until - self._clock.monotonic()) > 0:
            self._clock.sleep(min(0.05, left))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
