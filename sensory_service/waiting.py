"""Waits on behalf of a request, of which only so many may wait at once."""

import threading
from collections.abc import Callable
from typing import TypeVar

from commons.ports import Clock

_POLL_S = 0.05
Value = TypeVar("Value")


class WaitingRoom:
    """A bounded number of slots for requests that wait; the others are answered at once.

    A waiting request holds a thread of the server. Without the bound a few hundred patient
    clients would leave no thread for everybody else.
    """

    def __init__(self, clock: Clock, slots: int, longest_s: float) -> None:
        self._clock = clock
        self._free = threading.BoundedSemaphore(slots)
        self._longest_s = longest_s

    def wait_for(self, ask: Callable[[], Value | None], wait_s: float) -> tuple[Value | None, bool]:
        """Return what `ask` returns once it is something, and whether the room was full.

        Nothing comes back when the time is over, or at once when no slot is free.
        """
        value = ask()
        if value is not None or wait_s <= 0:
            return value, False
        if not self._free.acquire(blocking=False):
            return None, True
        try:
            return self._poll(ask, min(wait_s, self._longest_s)), False
        finally:
            self._free.release()

    def _poll(self, ask: Callable[[], Value | None], wait_s: float) -> Value | None:
        deadline = self._clock.monotonic() + wait_s
        value = None
        while value is None and (left := deadline - self._clock.monotonic()) > 0:
            self._clock.sleep(min(_POLL_S, left))
            value = ask()
        return value
