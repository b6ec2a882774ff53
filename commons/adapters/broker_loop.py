"""The thread that owns the connection to the broker: it does what others ask, and reconnects.

py-amqp is no library for threads and sends heartbeats only when it is told to.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from celery import Celery

from commons.adapters.broker_session import FAULTS, BrokerSession, open_session
from commons.errors import UnavailableError
from commons.ports import Clock

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class _Call:
    """What another thread asks of the connection's; it may wait for the answer."""

    run: Callable[[BrokerSession], Any]
    answer: "Future[Any]" = field(default_factory=Future)


class _Wake:
    """Ends the waiting of a thread that waits for a socket too."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        for end in (self._out, self._in):
            os.set_blocking(end, False)

    def fileno(self) -> int:
        return self._out

    def set(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._in, b"x")

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._out, 4096)

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)


class BrokerLoop:
    """One session after the other, and the calls of other threads on them, in order.

    Args:
        app: `commons.adapters.celery_app.create_celery`.
        clock: Says how long the broker is away.
        restore: Given each new session before any call is; makes all as it was.
        restored: Called when it is.
        attend: Given the session time and again; returns for how many seconds it may be left
            alone.
    """

    def __init__(
        self,
        app: Celery,
        clock: Clock,
        *,
        restore: Callable[[BrokerSession], None],
        restored: Callable[[], None],
        attend: Callable[[BrokerSession], float],
    ) -> None:
        self._app = app
        self._clock = clock
        self._restore = restore
        self._restored = restored
        self._attend = attend
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._calls: deque[_Call] = deque()
        self._thread: threading.Thread | None = None
        self._wake = _Wake()
        self._lost_at: float | None = None
        self._fault = ""

    def ask(self, run: Callable[[BrokerSession], _Answer]) -> _Answer:
        """Return what a call on the session returns; starts the thread if it is the first.

        Raises:
            UnavailableError: The next try to connect failed, the session ended meanwhile, or the
                loop is closed.
        """
        answer: _Answer = self.put(run).result()
        return answer

    def put(self, run: Callable[[BrokerSession], _Answer]) -> "Future[_Answer]":
        """Have something called on the session, and do not wait.

        Raises:
            UnavailableError: The loop is closed.
        """
        call = _Call(run)
        with self._lock:
            if self._closing.is_set():
                raise UnavailableError("the link to the broker is closed")
            if self._thread is None:
                self._lost_at = self._clock.monotonic()
                self._thread = threading.Thread(target=self._run, name="broker-loop", daemon=True)
                self._thread.start()
            self._calls.append(call)
            self._wake.set()
        return call.answer

    def away_s(self) -> float:
        """Return for how many seconds the broker has been away; 0 while connected."""
        with self._lock:
            lost_at = self._lost_at
        return 0.0 if lost_at is None else self._clock.monotonic() - lost_at

    def close(self) -> None:
        """End the session and the thread; safe to call twice."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._wake.close()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._closing.is_set():
            try:
                session = open_session(self._app)
            except Exception as error:  # the outermost loop of this thread
                self._note(error)
                self._refuse_calls()
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            pause_s = _FIRST_PAUSE_S
            self._use(session)
            self._closing.wait(pause_s)
        self._refuse_calls()

    def _use(self, session: BrokerSession) -> None:
        try:
            self._restore(session)
            with self._lock:
                self._lost_at = None
            self._fault = ""
            self._restored()
            while not self._closing.is_set():
                self._serve(session)
            session.close()
        except Exception as error:  # the outermost loop of this thread
            self._note(error)
            session.discard()

    def _note(self, error: Exception) -> None:
        self._lose()
        fault = f"{type(error).__name__}: {error}"
        if not isinstance(error, FAULTS):
            _LOG.error("the link to the broker failed", exc_info=error)
        elif fault != self._fault:
            # Said once, and not at every try.
            _LOG.warning("the broker is away: %s", fault)
        self._fault = fault

    def _lose(self) -> None:
        with self._lock:
            if self._lost_at is None:
                self._lost_at = self._clock.monotonic()

    def _serve(self, session: BrokerSession) -> None:
        session.wait(self._wake.fileno(), self._attend(session))
        self._wake.clear()
        while self._calls:
            self._answer(self._calls.popleft(), session)
        session.drain()
        session.beat()

    def _answer(self, call: _Call, session: BrokerSession) -> None:
        """Do what another thread asked.

        Raises:
            FAULTS: The session is of no more use.
        """
        try:
            value = call.run(session)
        except FAULTS as error:
            self._lose()
            call.answer.set_exception(UnavailableError(f"the broker went away: {error}"))
            raise
        except Exception as error:  # the other thread's to handle
            call.answer.set_exception(error)
        else:
            call.answer.set_result(value)

    def _refuse_calls(self) -> None:
        while self._calls:
            answer = self._calls.popleft().answer
            answer.set_exception(UnavailableError(f"the broker is away: {self._fault}"))
