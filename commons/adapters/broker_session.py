"""One AMQP connection, from its opening to its first fault, in the hands of one thread."""

import select
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import amqp
from amqp.exceptions import AMQPError, ConsumerCancelled, NotFound, ResourceLocked
from celery import Celery
from kombu.exceptions import KombuError

from commons.adapters.celery_app import JOB_TASK, job_queues
from commons.errors import UnavailableError
from commons.fleet import ASKS, BEATS
from commons.jobs import JobSpec

# After any of these a session is of no more use.
FAULTS = (AMQPError, KombuError, OSError)
Heard = Callable[[bytes], None]

_TRANSIENT = 1
_CONFIRM_S = 10.0
# A broker that has begun a frame ends it within this time.
_FRAME_S = 1.0
_FRAMES_AT_ONCE = 500
# A property of a message ends at 255 bytes; the whole id is in the job itself.
_LONGEST_PROPERTY = 255


def open_session(app: Celery) -> "BrokerSession":
    """Return a session with a broker on which the queues of jobs and the exchanges are declared.

    Raises:
        FAULTS: It cannot be reached, refuses us, or knows a queue of that name otherwise.
    """
    heartbeat_s = app.conf.broker_heartbeat
    silence_s = max(_CONFIRM_S, 2.0 * heartbeat_s)
    client = app.connection_for_write(
        heartbeat=heartbeat_s,
        # No answer that is waited for takes for ever, also from a broker that is cut off.
        transport_options={"read_timeout": silence_s, "write_timeout": silence_s},
    )
    # Not `client.connect`, which would try again in its own time.
    session = BrokerSession(app, client.transport.establish_connection())
    try:
        session.declare()
    except BaseException:
        session.discard()
        raise
    return session


class BrokerSession:
    """What is said and heard on one connection. Any of `FAULTS` from a method ends its use.

    Args:
        app: Makes the messages of jobs.
        connection: An open `amqp.Connection`.
    """

    def __init__(self, app: Celery, connection: Any) -> None:
        self._app = app
        self._connection = connection
        self._speaking = connection.channel()
        # The broker closes the channel on which something is refused; py-amqp opens it again.
        self._asking = connection.channel()
        self._producer = app.amqp.Producer(self._speaking, auto_declare=False)
        self._speaking.events["basic_return"].add(self._on_return)
        self._returned = False
        self._queues: dict[str, str] = {}
        self._dropping: set[str] = set()
        self._poll = select.poll()
        self._poll.register(connection.sock, select.POLLIN)

    def declare(self) -> None:
        """Declare what all engines and workers use."""
        for job_queue in job_queues():
            job_queue(self._asking).declare()
        for exchange in (BEATS, ASKS):
            self._asking.exchange_declare(exchange, "fanout", durable=True, auto_delete=False)

    def submit(
        self, spec: JobSpec, reply_to: str, queue: str, sent: float, starts: int = 0
    ) -> None:
        """Publish a job so that it survives the broker's end.

        Args:
            spec: The job.
            reply_to: The queue that is told what becomes of it.
            queue: That it goes to.
            sent: When it was submitted first, in unix seconds.
            starts: How often it was handed out before, where that counts.

        Raises:
            UnavailableError: No queue takes it, although it was just declared again.
        """
        for _ in range(2):
            self._returned = False
            self._app.send_task(
                JOB_TASK,
                kwargs={
                    "spec": spec.model_dump(mode="json"),
                    "reply_to": reply_to,
                    "sent": sent,
                    "starts": starts,
                },
                task_id=spec.id[:_LONGEST_PROPERTY],
                producer=self._producer,
                queue=queue,
                mandatory=True,
                confirm_timeout=_CONFIRM_S,
                retry=False,
                ignore_result=True,
            )
            if not self._returned:
                return
            self.declare()
        raise UnavailableError(f"the broker has no queue {queue}")

    def send(self, body: bytes, *, exchange: str = "", queue: str = "") -> bool:
        """Send a body that need not survive; say whether a queue took it."""
        self._returned = False
        message = amqp.Message(body, content_type="application/json", delivery_mode=_TRANSIENT)
        self._speaking.basic_publish(
            message,
            exchange=exchange,
            routing_key=queue,
            mandatory=True,
            confirm_timeout=_CONFIRM_S,
        )
        return not self._returned

    def listen(
        self, name: str, heard: Heard, exchange: str | None, expires_s: float | None
    ) -> None:
        """Hand on what comes to a queue; what the session listens to already stays as it is.

        Args:
            name: The queue; with an exchange it stands for one of this session alone.
            heard: Given each body; must not use the session.
            exchange: Whose words all come to it.
            expires_s: The queue outlives the session by so much.
        """
        if name in self._queues:
            return
        # The broker may not know yet that an earlier session, whose own it was, has ended.
        queue = name if expires_s is not None else f"{name}.{uuid.uuid4().hex[:12]}"
        self._asking.queue_declare(
            queue,
            durable=expires_s is not None,
            exclusive=expires_s is None,
            auto_delete=False,
            arguments=None if expires_s is None else {"x-expires": int(1000 * expires_s)},
        )
        if exchange is not None:
            self._asking.queue_bind(queue, exchange)
        self._consume(name, queue, heard)

    def hold(self, queue: str, heard: Heard) -> bool:
        """Hold a queue alone and hand on what comes to it; false: another connection holds it."""
        if queue in self._queues:
            return True
        try:
            self._asking.queue_declare(queue, exclusive=True, auto_delete=False)
        except ResourceLocked:
            return False
        self._consume(queue, queue, heard)
        return True

    def drop(self, name: str) -> None:
        """Delete a queue that is listened to or held; another's or none is no error."""
        if name in self._queues:
            # The broker will say that we consume it no more, at some time.
            self._dropping.add(self._queues[name])
        with suppress(ResourceLocked):
            self._asking.queue_delete(self._queues.pop(name, name))

    def count(self, queue: str) -> tuple[int, int] | None:
        """Return how many messages wait in a queue and how many consume it; none: no such queue."""
        try:
            found = self._asking.queue_declare(queue, passive=True)
        except NotFound:
            return None
        return found.message_count, found.consumer_count

    def wait(self, other: int, timeout_s: float) -> None:
        """Return when the broker has said something, another descriptor is readable, or in time."""
        poll = select.poll()
        poll.register(self._connection.sock, select.POLLIN)
        poll.register(other, select.POLLIN)
        poll.poll(0 if self._deciphered() else 1000 * timeout_s)

    def drain(self) -> None:
        """Hand on what has come."""
        for _ in range(_FRAMES_AT_ONCE):
            if not (self._deciphered() or self._poll.poll(0)):
                return
            with suppress(TimeoutError):
                # One frame, and not `drain_events`, which waits on after a heartbeat.
                self._connection.blocking_read(_FRAME_S)

    def beat(self) -> None:
        """Send a heartbeat if it is time, and fail if the broker has sent none for two."""
        self._connection.heartbeat_tick(rate=3)

    def close(self) -> None:
        """End the session in good order: what it held alone is free when this returns."""
        with suppress(*FAULTS):
            self._connection.close()
        self.discard()

    def discard(self) -> None:
        """Leave the connection as it is."""
        self._connection.collect()

    def _deciphered(self) -> bool:
        """Say whether TLS has bytes that the socket no longer shows."""
        pending = getattr(self._connection.sock, "pending", None)
        return pending is not None and pending() > 0

    def _consume(self, name: str, queue: str, heard: Heard) -> None:
        self._queues[name] = queue
        self._speaking.basic_consume(
            queue,
            consumer_tag=f"{queue}.{uuid.uuid4().hex[:8]}",
            no_ack=True,
            nowait=True,
            callback=lambda message: heard(_bytes_of(message.body)),
            on_cancel=lambda _tag: self._on_cancel(queue),
        )

    def _on_cancel(self, queue: str) -> None:
        if queue in self._dropping:
            self._dropping.discard(queue)
        else:
            # Somebody deleted it, or its node is lost: a new session declares it again.
            raise ConsumerCancelled(queue)

    def _on_return(self, *_details: object) -> None:
        self._returned = True


def _bytes_of(body: object) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)  # type: ignore[call-overload]
