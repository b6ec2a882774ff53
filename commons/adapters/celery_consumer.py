"""Celery's worker as trainings need it: three of its steps, threads that wait, exact prefetch.

Loaded are the connection, the queue and the event loop. What Celery's workers say to each other
is left out: a fleet speaks by the words of `commons.fleet`.
"""

import logging
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from celery import Celery, bootsteps
from celery.app.trace import setup_worker_optimizations
from celery.concurrency.base import apply_target
from celery.concurrency.thread import ApplyResult, TaskPool
from celery.exceptions import CPendingDeprecationWarning, Reject
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.consumer.connection import Connection
from celery.worker.consumer.consumer import Evloop
from kombu import Consumer as QueueConsumer
from kombu.common import QoS, ignore_errors

from commons.adapters.celery_app import JOB_TASK, job_queues
from commons.adapters.job_desk import JobDesk
from commons.errors import DiceboxError, InvalidInputError
from commons.fleet import jobs_queue
from commons.jobs import Device, JobSpec

_LOG = logging.getLogger(__name__)
_ACK_S = 2.0
_BEAT_S = 1.0
# A delivery carries of which connection it is.
_CONNECTION = "dicebox-connection"
# Of the broker: how often a message was handed out before.
_STARTS = "x-delivery-count"


class Submit(Protocol):
    """`commons.adapters.broker_link.BrokerLink.submit`."""

    def __call__(
        self, spec: JobSpec, reply_to: str, queue: str, *, sent: float, starts: int
    ) -> None:
        """Publish a job; when this returns, the broker has it."""
        ...


class SlotPool(TaskPool):  # type: ignore[misc]
    """Threads that wait for trainings: more than slots, so that a duplicate is looked at in time.

    What a task raises past Celery's own net rejects its message; the thread pool of Celery would
    keep it, and its slot, until the connection ends.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.executor = ThreadPoolExecutor(2 * self.limit + 4, thread_name_prefix="slot")
        self._active: set[Future[Any]] = set()

    def on_stop(self) -> None:
        """Let acknowledgements be given; what still trains is given back with the connection."""
        wait([*self._active], _ACK_S)
        self.executor.shutdown(wait=False, cancel_futures=True)

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
        callback: Any = None,
        accept_callback: Any = None,
        error_callback: Any = None,
        **_: Any,
    ) -> ApplyResult:
        """Run a task on a thread."""
        future = self.executor.submit(apply_target, target, args, kwargs, callback, accept_callback)
        self._active.add(future)
        future.add_done_callback(lambda done: self._ended(done, error_callback))
        return ApplyResult(future)

    def _ended(self, future: "Future[Any]", error_callback: Any) -> None:
        self._active.discard(future)
        error = None if future.cancelled() else future.exception()
        if error is None:
            return
        _LOG.error("a job's message is rejected", exc_info=error)
        # Celery's way to fail a request would read the message that broke it once more.
        error_callback.__self__.reject(requeue=False)


class SlotConsumer(QueueConsumer):  # type: ignore[misc]
    """Consumes one message for each free slot, never more.

    Trainings that outlive their connection are no messages of the next one, which therefore
    begins with as many as are free, and takes one more when such a training ends.
    """

    def __init__(self, desk: JobDesk, *args: Any, **options: Any) -> None:
        self._desk = desk
        self._outlived: set[str] = set()
        self._granted: int | None = None
        self._further_tags: list[str] = []
        self._cancelled = False
        super().__init__(*args, **options)

    def consume(self, no_ack: bool | None = None) -> None:
        """Begin to consume for the slots that are free."""
        self._outlived = set(self._desk.table.jobs())
        self._granted = self._owed()
        # A prefetch of 0 would be one without a limit.
        if self._granted > 0:
            self.channel.basic_qos(0, self._granted, False)
            super().consume(no_ack)

    def freed(self, job: str) -> None:
        """Consume one message more if a job has ended that had outlived its connection."""
        if job in self._desk.table.jobs():
            return
        self._outlived.discard(job)
        if self._cancelled or self._granted is None or self._granted >= self._owed():
            return
        self._granted += 1
        self.channel.basic_qos(0, 1, False)
        for queue in self.queues:
            tag = f"further{next(self._tags)}"
            self._further_tags.append(tag)
            queue.consume(tag, self._receive_callback, no_ack=False, nowait=False)

    def _owed(self) -> int:
        table = self._desk.table
        return 0 if table.draining else max(0, table.slots - len(self._outlived))

    def cancel(self) -> None:
        """Consume no further message."""
        self._cancelled = True
        for tag in self._further_tags:
            self.channel.basic_cancel(tag)
        self._further_tags.clear()
        super().cancel()

    close = cancel


class SlotTasks(bootsteps.StartStopStep):  # type: ignore[misc]
    """Consumes the queue of jobs while there is a connection."""

    requires = (Connection,)

    def __init__(self, consumer: Any, desk: JobDesk, **options: Any) -> None:
        consumer.task_consumer = consumer.qos = None
        self._desk = desk
        super().__init__(consumer, **options)

    def start(self, consumer: Any) -> None:
        """Declare what messages can go to, and make the consumer, which the loop starts."""
        consumer.update_strategies()
        channel = consumer.connection.default_channel
        for queue in job_queues():
            queue(channel).declare()
        consumer.task_consumer = SlotConsumer(
            self._desk,
            channel,
            queues=[*consumer.app.amqp.queues.consume_from.values()],
            accept=consumer.app.conf.accept_content,
            on_decode_error=consumer.on_decode_error,
        )
        consumer.qos_global = False
        # The loop wants one; the prefetch is the consumer's own.
        consumer.qos = QoS(lambda prefetch_count: None, consumer.initial_prefetch_count)

    def stop(self, consumer: Any) -> None:
        """Consume no further message."""
        if consumer.task_consumer is not None:
            ignore_errors(consumer, consumer.task_consumer.cancel)

    def shutdown(self, consumer: Any) -> None:
        """Forget the consumer; its channel goes with the connection."""
        self.stop(consumer)
        consumer.task_consumer = None


class JobConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer with the steps above, that no message can end."""

    event_dispatcher = None
    # Called while the loop goes round, and while it waits for a broker that was there before.
    beat: Callable[[], None] = staticmethod(lambda: None)

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """The steps that are started, in this order."""

        default_steps = (Connection, SlotTasks, Evloop)

    def ensure_connected(self, conn: Any) -> Any:
        """Connect soon after a broker has come back, not half a minute later."""

        def say(error: Exception, pause_s: float) -> None:
            _LOG.warning("the broker is away, next try in %.1f s: %s", pause_s, error)

        connected = conn.ensure_connection(
            say,
            self.app.conf.broker_connection_max_retries,
            interval_start=0.2,
            interval_step=0.2,
            interval_max=2,
            callback=self._wait_for_broker,
        )
        self.first_connection_attempt = False
        return connected

    def register_with_event_loop(self, hub: Any) -> None:
        """Have the loop of Celery that is used here beat."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(_BEAT_S, self.beat)

    def _wait_for_broker(self) -> None:
        # One that never was connected has not begun: whoever looks after it is to know.
        if not self.first_connection_attempt:
            self.beat()
        state.maybe_shutdown()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Connect again, without the warning that trainings are not cancelled."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Send what cannot be read to the dead letters; Celery would acknowledge it."""
        _LOG.error("a message that cannot be read is rejected: %r", exc)
        message.reject_log_error(_LOG, self.connection_errors)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Return what handles a message: one that breaks Celery's handler is rejected."""
        handle = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> None:
            try:
                if not _is_task(message):
                    raise InvalidInputError(f"expected a task, got {message.body[:80]!r}")
                message.headers[_CONNECTION] = self.restart_count
                handle(message)
            except self.connection_errors:
                raise
            except Exception as error:  # else it would end this worker, and then the next
                _LOG.error("a message that cannot be handled is rejected: %r", error)
                if not message.acknowledged:
                    message.reject_log_error(_LOG, self.connection_errors)

        return on_task_received


class JobWorker:
    """Hands the messages of one queue of jobs to a desk. There is one in a process.

    Args:
        app: `commons.adapters.celery_app.create_celery`.
        desk: Handles the jobs, as many at once as it has slots.
        submit: Publishes a job again that the desk gives back: `BrokerLink.submit`.
        name: Of the worker, in the whole fleet.
        kind: Of the queue.
        beat: Called every second or so by the thread that runs this, once it was connected.
    """

    def __init__(
        self,
        app: Celery,
        desk: JobDesk,
        submit: Submit,
        *,
        name: str,
        kind: Device,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._desk = desk
        self._submit = submit
        self._queue = jobs_queue(kind)

        @app.task(name=JOB_TASK, bind=True)  # type: ignore[untyped-decorator]
        def run_job(task: Any, *_: Any, **arguments: Any) -> None:
            self._handle(task.request, arguments)

        setup_worker_optimizations(app, name)
        # What was rejected is said once, by us.
        logging.getLogger("celery.app.trace").setLevel(logging.ERROR)
        # An acknowledgement that comes after its connection is nothing to be alarmed at.
        logging.getLogger("celery.worker.request").addFilter(_is_no_late_acknowledgement)
        self._controller = app.WorkController(
            hostname=name,
            concurrency=desk.table.slots,
            queues=[self._queue],
            desk=desk,
        )
        self._controller.consumer.beat = beat

    def run(self) -> None:
        """Handle jobs until `stop`; returns after that, with what was acknowledged said.

        Raises:
            RuntimeError: Celery has given up, for a reason that it has logged.
        """
        self._controller.start()
        if self._controller.exitcode:
            raise RuntimeError(f"the consumer of jobs ended with code {self._controller.exitcode}")

    def consume_no_more(self) -> None:
        """Take no further message; safe on any thread, and before the first connection."""
        self._soon(lambda tasks: tasks.cancel())

    def stop(self) -> None:
        """Have `run` return; safe on any thread."""
        state.should_stop = 0
        # The loop waits for something to happen.
        self._soon(lambda _tasks: None)

    def _handle(self, request: Any, arguments: dict[str, Any]) -> None:
        try:
            spec = JobSpec.model_validate(arguments["spec"])
            reply_to, sent = str(arguments["reply_to"]), float(arguments["sent"])
            starts = int(arguments.get("starts", 0)) + int(request.get(_STARTS) or 0)
        except (KeyError, TypeError, ValueError) as error:
            _LOG.error("a message that is no job is rejected: %r", error)
            raise Reject(repr(error), requeue=False) from error

        def current() -> bool:
            return self._is_current(request.get(_CONNECTION))

        try:
            verdict = self._desk.handle(
                spec,
                reply_to,
                redelivered=bool(request.delivery_info["redelivered"]),
                starts=starts,
                sent=sent,
                current=current,
            )
        except Exception as error:  # a fault of ours: the dead letters keep the job
            _LOG.exception("%s: its message is rejected", spec.id)
            raise Reject(repr(error), requeue=False) from error
        finally:
            self._soon(lambda tasks: tasks.freed(spec.id))
        if verdict == "requeue" and not (current() and self._went(spec, reply_to, sent, starts)):
            raise Reject("it goes back", requeue=True)

    def _went(self, spec: JobSpec, reply_to: str, sent: float, starts: int) -> bool:
        """Publish a job again that the desk gives back; say whether the broker has it.

        One that is rejected would have one start more, and in the end too many, though nothing
        had ended with it.
        """
        try:
            self._submit(spec, reply_to, self._queue, sent=sent, starts=starts)
        except DiceboxError as error:
            _LOG.info("%s goes back as it came: %s", spec.id, error)
            return False
        return True

    def _is_current(self, connection: object) -> bool:
        consumer = self._controller.consumer
        return consumer.connection is not None and consumer.restart_count == connection

    def _soon(self, call: Callable[[SlotConsumer], object]) -> None:
        """Do something with what consumes, on the thread of the loop."""
        consumer = self._controller.consumer

        def now() -> None:
            if consumer.task_consumer is not None:
                call(consumer.task_consumer)

        consumer.call_soon(ignore_errors, consumer, now)


def _is_task(message: Any) -> bool:
    """Say whether a message is built as a task is; Celery looks less closely, and later."""
    headers, body = message.headers, message.payload
    names = all(isinstance(headers.get(name), str) for name in ("task", "id"))
    return names and isinstance(body, list) and [*map(type, body)] == [list, dict, dict]


def _is_no_late_acknowledgement(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(("Couldn't ack", "Couldn't reject"))
