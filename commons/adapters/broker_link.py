"""What engines and workers say to each other beside Celery's messages, over one connection.

One thread has the connection (`commons.adapters.broker_loop`). What is heard is handed on by a
second one, which may use the link itself.
"""

import logging
import queue
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from celery import Celery

from commons.adapters.broker_loop import BrokerLoop
from commons.adapters.broker_session import BrokerSession, Heard
from commons.adapters.clock import SystemClock
from commons.errors import InvalidInputError, UnavailableError
from commons.fleet import Word, checked_size, from_bytes, running_queue, to_bytes
from commons.jobs import JobSpec
from commons.ports import Clock

_LOG = logging.getLogger(__name__)
_ASK_AGAIN_S = 0.25
# The broker gives up a connection of ours, and what it held, after two heartbeats and a little.
_GHOST_HEARTBEATS = 2.5


@dataclass(frozen=True)
class _Listening:
    heard: Heard
    exchange: str | None
    expires_s: float | None


class BrokerLink:
    """Jobs out, words in and out, and the locks of running jobs. Connects when it is first used.

    Whoever calls while the broker is away waits for the next try to connect, at most a second
    away, and gets `UnavailableError` if that fails. What is listened to and held is so again
    after each connection. Nothing here may be called after `close`.

    Args:
        app: `commons.adapters.celery_app.create_celery`.
        clock: Says when a job was sent, and how long the broker is away.
        on_connected: Called after every connection, the first too, once all is as it was before;
            may use the link, as `on_fenced` and whoever hears words may.
        on_fenced: Called with a job whose lock another has taken while the broker was away; it is
            not held any more then.
    """

    def __init__(
        self,
        app: Celery,
        *,
        clock: Clock | None = None,
        on_connected: Callable[[], None] = lambda: None,
        on_fenced: Callable[[str], None] = lambda _job: None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._on_connected = on_connected
        self._on_fenced = on_fenced
        self._heartbeat_s = float(app.conf.broker_heartbeat)
        self._lock = threading.Lock()
        self._listening: dict[str, _Listening] = {}
        self._held: dict[str, Heard] = {}
        self._contested: dict[str, float] = {}
        self._to_hand_on: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._handing_on: threading.Thread | None = None
        self._loop = BrokerLoop(
            app,
            self._clock,
            restore=self._restore,
            restored=self._restored,
            attend=self._attend,
        )

    def submit(
        self,
        spec: JobSpec,
        reply_to: str,
        queue: str,
        *,
        sent: float | None = None,
        starts: int = 0,
    ) -> None:
        """Publish a job; when this returns, the broker has it on disk.

        Args:
            spec: The job.
            reply_to: The queue that is told what becomes of it.
            queue: One of `commons.fleet.jobs_queue`.
            sent: When it was submitted first, in unix seconds; default: now.
            starts: How often it was handed out before, where that counts.

        Raises:
            TooLargeError: It is above `commons.fleet.MOST_BYTES`.
            UnavailableError: The broker is away; it may have taken the job all the same.
        """
        checked_size(spec.model_dump_json().encode(), f"the job {spec.id}")
        since = self._clock.now() if sent is None else sent
        self._loop.ask(lambda session: session.submit(spec, reply_to, queue, since, starts))

    def tell(self, queue: str, word: Word) -> bool:
        """Send a word and say whether there is such a queue.

        Raises:
            TooLargeError: It is above `commons.fleet.MOST_BYTES`.
            UnavailableError: The broker is away.
        """
        body = to_bytes(word)
        return self._loop.ask(lambda session: session.send(body, queue=queue))

    def announce(self, exchange: str, word: Word) -> None:
        """Send a word to all who listen to an exchange, and do not wait; lost while away.

        Raises:
            TooLargeError: It is above `commons.fleet.MOST_BYTES`.
            UnavailableError: The link is closed.
        """
        body = to_bytes(word)
        self._loop.put(lambda session: session.send(body, exchange=exchange))

    def listen(
        self,
        queue: str | None,
        heard: Callable[[Word], None],
        *,
        exchange: str | None = None,
        expires_s: float | None = None,
    ) -> str:
        """Hear every word that comes to a queue; declared again after each connection.

        This never fails: while the broker is away, it is begun when it is there.

        Args:
            queue: Its name, which others may send to if it expires; none: any.
            heard: Called with one word after the other.
            exchange: Whose words all come to it.
            expires_s: The queue outlives an absence of so many seconds; else it lives as long as
                the connection.

        Returns:
            What `stop_listening` takes, and the queue's name if it expires.
        """
        name = queue or f"dicebox.listening.{uuid.uuid4().hex[:12]}"
        listening = _Listening(self._to_heard(heard), exchange, expires_s)
        with self._lock:
            self._listening[name] = listening
        with suppress(UnavailableError):
            self._loop.ask(
                lambda session: session.listen(name, listening.heard, exchange, expires_s)
            )
        return name

    def stop_listening(self, name: str) -> None:
        """Hear no more and delete the queue; one that expires may outlive a broker that is away."""
        with self._lock:
            self._listening.pop(name, None)
        with suppress(UnavailableError):
            self._loop.ask(lambda session: session.drop(name))

    def hold(self, job: str, heard: Callable[[Word], None]) -> bool:
        """Take the lock of a job, which ends with this process; false: another has it.

        The lock is a queue that the broker keeps for one connection (`running_queue`).

        Args:
            job: The job's id.
            heard: Called with every word that comes to its queue.

        Raises:
            UnavailableError: The broker is away.
        """
        to_heard = self._to_heard(heard)

        def take(session: BrokerSession) -> bool:
            if not session.hold(running_queue(job), to_heard):
                return False
            with self._lock:
                self._held[job] = to_heard
            return True

        return self._loop.ask(take)

    def let_go(self, job: str) -> None:
        """Give a lock back; when this returns another can take it. None held is no error."""
        with self._lock:
            self._held.pop(job, None)
        # Without a connection nothing is held.
        with suppress(UnavailableError):
            self._loop.ask(lambda session: session.drop(running_queue(job)))

    def ready(self, queue: str) -> tuple[int, int] | None:
        """Return how many messages wait in a queue and how many consume it; none: no such queue.

        Raises:
            UnavailableError: The broker is away.
        """
        return self._loop.ask(lambda session: session.count(queue))

    def away_s(self) -> float:
        """Return for how many seconds the broker has been away; 0 while connected."""
        return self._loop.away_s()

    def close(self) -> None:
        """Give all locks back and end; safe to call twice, but not by what the link calls."""
        self._loop.close()
        if self._handing_on is not None:
            self._to_hand_on.put(None)
            self._handing_on.join()

    def _to_heard(self, heard: Callable[[Word], None]) -> Heard:
        return lambda body: self._to_hand_on.put(lambda: heard(from_bytes(body)))

    def _hand_on(self) -> None:
        while (hand_on := self._to_hand_on.get()) is not None:
            try:
                hand_on()
            except InvalidInputError as error:
                _LOG.warning("a word is passed over: %s", error)
            except UnavailableError as error:
                _LOG.info("what was heard could not be answered: %s", error)
            except Exception:  # the outermost loop of this thread
                _LOG.exception("what was heard could not be handed on")

    # What follows is called on the thread of the connection.

    def _restore(self, session: BrokerSession) -> None:
        with self._lock:
            listening, held = [*self._listening.items()], [*self._held]
        for name, what in listening:
            session.listen(name, what.heard, what.exchange, what.expires_s)
        until = self._clock.monotonic() + _GHOST_HEARTBEATS * self._heartbeat_s
        self._contested = dict.fromkeys(held, until)
        self._hold_again(session)

    def _restored(self) -> None:
        if self._handing_on is None:
            self._handing_on = threading.Thread(
                target=self._hand_on, name="broker-words", daemon=True
            )
            self._handing_on.start()
        self._to_hand_on.put(self._on_connected)

    def _attend(self, session: BrokerSession) -> float:
        self._hold_again(session)
        return _ASK_AGAIN_S if self._contested else self._heartbeat_s / 3

    def _hold_again(self, session: BrokerSession) -> None:
        """Take the locks that were held before; our own last connection may have them still."""
        for job, until in [*self._contested.items()]:
            held = self._held.get(job)
            if held is not None and not session.hold(running_queue(job), held):
                if self._clock.monotonic() < until:
                    continue
                with self._lock:
                    self._held.pop(job, None)
                _LOG.warning("another has taken the lock of %s", job)
                self._to_hand_on.put(partial(self._on_fenced, job))
            self._contested.pop(job, None)
