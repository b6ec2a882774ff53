"""The queue on RabbitMQ; the only module that knows pika.

A `RabbitQueue` has two connections, each with a thread that does nothing else: one publishes and
one receives. A memory alarm that stops publishers so stops no acknowledgement, and heartbeats are
answered however long the work between `receive` and `acknowledge` takes. A connection is opened
at first use (so after a fork) and again, with growing pauses, when it is lost.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from commons.adapters.rabbit_declarations import Declarations
from commons.errors import InvalidInputError, UnavailableError
from commons.ports import Clock, Delivery

_WINDOW = 256  # messages that wait for the broker's confirmation at once
_PATIENCE_S = 30.0
_FIRST_POLL_S, _LONGEST_POLL_S = 0.02, 0.25
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_PERSISTENT = 2
_NOT_FOUND = 404
_CHANNEL_ATTEMPTS = 3

Value = TypeVar("Value")
Work = Callable[[], Any]


class RabbitQueue:
    """`commons.ports.Queue` on durable quorum queues, which survive the loss of a node.

    Messages are fetched one by one when somebody asks (`basic.get`) and not pushed ahead of the
    work: a busy receiver never holds what an idle one could do. An idle one asks four times a
    second.

    Args:
        url: `amqp://user:password@host:port/vhost`.
        clock: Says when to ask again.
        attempts: After this many deliveries a message goes to the dead-letter queue. All who use
            a queue must say the same.
        expiring: Prefixes of queues that expire, with the seconds after which they do. Likewise.
        heartbeat_s: A peer that is silent for twice as long is taken for dead.

    Raises:
        InvalidInputError: The URL is none.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        attempts: int = 20,
        expiring: Mapping[str, float] | None = None,
        heartbeat_s: int = 30,
    ) -> None:
        parameters = _parameters(url, heartbeat_s)
        # It logs a page about every refused connection, which our errors say in a line.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self._clock = clock
        queues = Declarations(attempts, expiring or {})
        self._publishers = _Line(clock, lambda: _Publisher(parameters, queues))
        self._receivers = _Line(clock, lambda: _Receiver(parameters, queues))

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        """Append messages; when this returns, the broker has them on disk."""
        # Nothing to publish is a window too: it makes the queue, and says that the broker is there.
        for start in range(0, max(1, len(bodies)), _WINDOW):
            window = _Window(queue, list(bodies[start : start + _WINDOW]))
            self._publishers.session().publish(window)

    def receive(self, queue: str, timeout_s: float) -> Delivery | None:
        """Take the oldest free message, waiting up to `timeout_s` seconds for one."""
        deadline, pause = self._clock.monotonic() + timeout_s, _FIRST_POLL_S
        while True:
            delivery = self._receivers.session().take(queue)
            left = deadline - self._clock.monotonic()
            if delivery is not None or left <= 0:
                return delivery
            self._clock.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_POLL_S)

    def acknowledge(self, delivery: Delivery) -> None:
        """Remove a message for good; one of a lost connection comes again instead."""
        self._receivers.session().acknowledge(delivery)

    def release(self, delivery: Delivery) -> None:
        """Give a message back: it comes again at once."""
        self._receivers.session().release(delivery)

    def reject(self, delivery: Delivery) -> None:
        """Move a message to the dead-letter queue."""
        self._receivers.session().reject(delivery)

    def delete(self, queue: str) -> None:
        """Remove a queue with all its messages."""
        self._receivers.session().delete(queue)

    def close(self) -> None:
        """End both connections; what was received and not answered comes again."""
        self._publishers.close()
        self._receivers.close()


class _Session(Protocol):
    """One connection with its thread."""

    opened: "Future[None]"

    def start(self) -> None: ...

    def is_alive(self) -> bool: ...

    def close(self) -> None: ...


SessionType = TypeVar("SessionType", bound=_Session)


class _Line(Generic[SessionType]):
    """The present connection, replaced when it is lost and not sooner than a pause after that."""

    def __init__(self, clock: Clock, make: Callable[[], SessionType]) -> None:
        self._clock = clock
        self._make = make
        self._lock = threading.Lock()
        self._session: SessionType | None = None
        self._pause_s = 0.0
        self._next = 0.0

    def session(self) -> SessionType:
        """Return an open connection.

        Raises:
            UnavailableError: The broker did not answer, now or a moment ago.
        """
        with self._lock:
            if self._session is None or not self._session.is_alive():
                self._session = None
                self._session = self._open()
            return self._session

    def close(self) -> None:
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = None

    def _open(self) -> SessionType:
        left = self._next - self._clock.monotonic()
        if left > 0:
            raise UnavailableError("the broker does not answer", retry_after_s=left)
        session = self._make()
        session.start()
        try:
            _result(session.opened)
        except UnavailableError:
            session.close()
            self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._next = self._clock.monotonic() + self._pause_s
            raise
        self._pause_s = 0.0
        return session


@dataclass
class _Taken:
    """A channel of one queue; its name makes tags that no other channel ever has."""

    channel: Any
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    open_tags: set[int] = field(default_factory=set)


class _Receiver:
    """Fetches and answers messages; a channel a queue, so that the end of one disturbs no other."""

    def __init__(self, parameters: pika.URLParameters, queues: Declarations) -> None:
        self.opened: Future[None] = Future()
        self._parameters = parameters
        self._queues = queues
        self._jobs: SimpleQueue[tuple[Work, Future[Any]]] = SimpleQueue()
        self._connection: Any = None
        self._channels: dict[str, _Taken] = {}
        self._ending = self._ended = False
        self._thread = threading.Thread(target=self._run, name="rabbit-receiver", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return not self._ending and not self._ended

    def close(self) -> None:
        self._ending = True
        self._wake()
        self._thread.join(_PATIENCE_S)

    def take(self, queue: str) -> Delivery | None:
        delivery: Delivery | None = self._do(lambda: self._take(queue))
        return delivery

    def acknowledge(self, delivery: Delivery) -> None:
        self._do(lambda: self._answer(delivery, lambda on, tag: on.basic_ack(tag)))

    def release(self, delivery: Delivery) -> None:
        self._do(lambda: self._answer(delivery, lambda on, tag: on.basic_nack(tag, requeue=True)))

    def reject(self, delivery: Delivery) -> None:
        self._do(lambda: self._bury(delivery))

    def delete(self, queue: str) -> None:
        self._do(lambda: self._delete(queue))

    def _do(self, work: Work) -> Any:
        future: Future[Any] = Future()
        self._jobs.put((work, future))
        self._wake()
        if self._ended:
            self._refuse_jobs()
        try:
            return _result(future)
        except _TooLateError:
            # It may still come to a message that nobody would answer: give all of them back.
            self._ending = True
            raise

    def _wake(self) -> None:
        # Without a connection there is nothing to wake.
        with suppress(AMQPError, AttributeError):
            self._connection.add_callback_threadsafe(lambda: None)

    def _run(self) -> None:
        try:
            self._connection = pika.BlockingConnection(self._parameters)
        except (AMQPError, OSError) as error:
            self._ended = True
            self.opened.set_exception(_unreachable(self._parameters, error))
            return
        self.opened.set_result(None)
        with suppress(AMQPError, OSError):
            while not self._ending:
                self._work()
                self._connection.process_data_events(time_limit=1.0)
        self._ended = True
        with suppress(AMQPError, OSError):
            self._connection.close()
        self._refuse_jobs()

    def _work(self) -> None:
        with suppress(Empty):
            while True:
                work, future = self._jobs.get_nowait()
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(work())
                except (AMQPError, OSError) as error:
                    future.set_exception(_unreachable(self._parameters, error))
                    if self._connection.is_closed:
                        raise
                except BaseException as error:
                    future.set_exception(error)

    def _refuse_jobs(self) -> None:
        with suppress(Empty):
            while True:
                _, future = self._jobs.get_nowait()
                if future.set_running_or_notify_cancel():
                    future.set_exception(_unreachable(self._parameters, None))

    def _take(self, queue: str) -> Delivery | None:
        for _ in range(_CHANNEL_ATTEMPTS):
            taken = self._channels.get(queue) or self._open_channel(queue)
            try:
                method, properties, body = taken.channel.basic_get(queue)
            except ChannelClosedByBroker as error:
                del self._channels[queue]
                if error.reply_code != _NOT_FOUND:
                    raise
                continue  # somebody deleted the queue: it is made again
            if method is None:
                return None
            taken.open_tags.add(method.delivery_tag)
            before = (properties.headers or {}).get("x-delivery-count", 0)
            return Delivery(queue, f"{taken.name}.{method.delivery_tag}", body, 1 + int(before))
        return None

    def _open_channel(self, queue: str) -> _Taken:
        channel = self._connection.channel()
        for name, arguments in self._queues.of(queue):
            channel.queue_declare(name, durable=True, arguments=arguments)
        self._channels[queue] = _Taken(channel)
        return self._channels[queue]

    def _answer(self, delivery: Delivery, say: Callable[[Any, int], None]) -> None:
        """Answer a delivery, if it came through this connection and has no answer yet."""
        name, _, tag = delivery.tag.partition(".")
        taken = self._channels.get(delivery.queue)
        if taken is None or taken.name != name or int(tag) not in taken.open_tags:
            return
        taken.open_tags.discard(int(tag))
        try:
            say(taken.channel, int(tag))
        except AMQPError:
            if not self._connection.is_open:
                raise
            self._channels.pop(delivery.queue, None)

    def _bury(self, delivery: Delivery) -> None:
        dead = self._queues.dead_letters_of(delivery.queue)
        if dead is not None:
            channel = self._connection.channel()
            # It may have been deleted, and what goes to no queue is lost.
            for name, arguments in self._queues.of(dead):
                channel.queue_declare(name, durable=True, arguments=arguments)
            channel.close()
        self._answer(delivery, lambda on, tag: on.basic_nack(tag, requeue=False))

    def _delete(self, queue: str) -> None:
        taken = self._channels.pop(queue, None)
        if taken is not None:
            with suppress(AMQPError):
                taken.channel.close()
        channel = self._connection.channel()
        try:
            channel.queue_delete(queue)
        except ChannelClosedByBroker as error:
            if error.reply_code != _NOT_FOUND:
                raise
            return
        channel.close()


@dataclass(eq=False)
class _Window:
    """Messages that are published together; `done` when the broker has confirmed all of them."""

    queue: str
    bodies: list[bytes]
    done: "Future[None]" = field(default_factory=Future)
    unconfirmed: int = 0
    refused: bool = False


class _Publisher:
    """Publishes with confirms; everything but `publish` and `close` runs in its own thread."""

    def __init__(self, parameters: pika.URLParameters, queues: Declarations) -> None:
        self.opened: Future[None] = Future()
        self._parameters = parameters
        self._queues = queues
        self._lock = threading.Lock()
        self._ended = self._closed = False
        self._connection: Any = None
        self._channel: Any = None
        self._windows: list[_Window] = []
        self._sent = 0
        self._open: dict[int, _Window] = {}
        self._thread = threading.Thread(target=self._run, name="rabbit-publisher", daemon=True)

    def start(self) -> None:
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=lambda connection: connection.channel(
                on_open_callback=self._on_channel
            ),
            on_open_error_callback=lambda _, error: self._end(error),
            on_close_callback=lambda _, error: self._end(error),
        )
        self._thread.start()

    def is_alive(self) -> bool:
        return not self._ended

    def close(self) -> None:
        self._soon(lambda: self._end(None))
        self._thread.join(_PATIENCE_S)

    def publish(self, window: _Window) -> None:
        """Return when all messages of a window are safe."""
        with self._lock:
            self._windows.append(window)
        if not self._soon(lambda: self._declare(window)):
            self._fail_windows(None)
        try:
            _result(window.done)
        except _TooLateError:
            self._soon(lambda: self._end(None))
            raise

    def _soon(self, work: Callable[[], None]) -> bool:
        """Have the connection's thread do something and say whether there is one."""
        with self._lock:
            if not self._closed:
                self._connection.ioloop.add_callback_threadsafe(work)
            return not self._closed

    def _run(self) -> None:
        self._connection.ioloop.start()
        with self._lock:
            self._ended = self._closed = True
            self._connection.ioloop.close()
        self._fail_windows(None)

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(lambda _, error: self._end(error))
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, lambda _: self.opened.set_result(None))

    def _end(self, error: BaseException | None) -> None:
        """Fail what waits and let the thread end; the next call opens another connection."""
        self._ended = True
        if not self.opened.done():
            self.opened.set_exception(_unreachable(self._parameters, error))
        self._fail_windows(error)
        if self._connection.is_open:
            self._connection.close()  # comes back here when it is closed
        elif not self._connection.is_closing:
            self._connection.ioloop.stop()

    def _fail_windows(self, error: BaseException | None) -> None:
        with self._lock:
            windows, self._windows = self._windows, []
        for window in windows:
            window.done.set_exception(_unreachable(self._parameters, error))

    def _declare(self, window: _Window) -> None:
        # Each time: the queue may have been deleted, and that it exists costs a round trip only.
        then: Callable[[object], None] = lambda _: self._send(window)  # noqa: E731
        for name, arguments in reversed(self._queues.of(window.queue)):
            then = partial(self._declare_one, name, arguments, then)
        then(None)

    def _declare_one(
        self, name: str, arguments: dict[str, object], then: Callable[[object], None], _: object
    ) -> None:
        if self._channel.is_open:
            self._channel.queue_declare(name, durable=True, arguments=arguments, callback=then)

    def _send(self, window: _Window) -> None:
        if not self._channel.is_open:
            return  # whoever closed it has failed the window
        window.unconfirmed = len(window.bodies)
        if not window.bodies:
            self._finish(window)
        for body in window.bodies:
            self._sent += 1
            self._open[self._sent] = window
            properties = pika.BasicProperties(delivery_mode=_PERSISTENT, message_id=str(self._sent))
            self._channel.basic_publish("", window.queue, body, properties, mandatory=True)

    def _on_return(self, _: object, __: object, properties: Any, ___: bytes) -> None:
        # Its confirmation follows: the queue was deleted since it was declared.
        self._open[int(properties.message_id)].refused = True

    def _on_confirm(self, frame: Any) -> None:
        last = frame.method.delivery_tag
        tags = [tag for tag in self._open if tag <= last] if frame.method.multiple else [last]
        for tag in tags:
            window = self._open.pop(tag)
            window.refused |= isinstance(frame.method, pika.spec.Basic.Nack)
            window.unconfirmed -= 1
            if window.unconfirmed == 0:
                self._finish(window)

    def _finish(self, window: _Window) -> None:
        with self._lock:
            if window not in self._windows:
                return  # failed already
            self._windows.remove(window)
        if window.refused:
            window.done.set_exception(
                UnavailableError(f"the broker did not take the messages for {window.queue}")
            )
        else:
            window.done.set_result(None)


class _TooLateError(UnavailableError):
    """The broker is connected and did not answer in time."""


def _result(future: "Future[Value]") -> Value:
    try:
        return future.result(_PATIENCE_S)
    except FutureTimeoutError as error:
        raise _TooLateError(f"the broker gave no answer in {_PATIENCE_S:.0f} s") from error


def _parameters(url: str, heartbeat_s: int) -> pika.URLParameters:
    example = "amqp://user:password@host:5672/%2F"
    if not url.startswith(("amqp://", "amqps://")):
        raise InvalidInputError(f"expected a broker like {example}, got another kind of address")
    try:
        parameters = pika.URLParameters(url)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"expected a broker like {example}: {error}") from error
    parameters.heartbeat = heartbeat_s
    parameters.socket_timeout = 5.0
    parameters.stack_timeout = 10.0
    parameters.connection_attempts = 1  # the next call tries again
    parameters.blocked_connection_timeout = _PATIENCE_S
    return parameters


def _unreachable(parameters: pika.URLParameters, error: BaseException | None) -> UnavailableError:
    """Return what to say; the address is said without its password."""
    where = f"{parameters.host}:{parameters.port}"
    why = f": {_reason(error)}" if error is not None else ""
    return UnavailableError(f"the broker at {where} cannot be reached{why}")


def _reason(error: BaseException) -> str:
    """Return the innermost reason: pika wraps a refused connection three times."""
    inner = [*error.args, *getattr(error, "exceptions", ()), getattr(error, "exception", None)]
    wrapped = [one for one in inner if isinstance(one, BaseException)]
    return _reason(wrapped[-1]) if wrapped else str(error) or type(error).__name__
