"""A file that a process without a port touches while its work goes on, for those who look after it.

`DICEBOX_ALIVE_FILE` names it; a file that has grown old is a process that hangs.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

_EVERY_S = 1.0
_LOG = logging.getLogger(__name__)


class HeartbeatFile:
    """Touched by the thread that made this, and by no other one: that it goes on is in question.

    Args:
        file: None: there is none.
        monotonic: Says when it is time again.
    """

    def __init__(
        self, file: Path | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._monotonic = monotonic
        self._thread = threading.get_ident()
        self._next = monotonic()
        self._has_failed = False

    def beat(self) -> None:
        """Say that the loop goes round; at most once a second this costs anything."""
        now = self._monotonic()
        if self._file is None or now < self._next or threading.get_ident() != self._thread:
            return
        self._next = now + _EVERY_S
        try:
            self._file.touch()
            self._has_failed = False
        except OSError as error:
            if not self._has_failed:
                _LOG.warning("cannot touch %s: %s", self._file, error.strerror)
            self._has_failed = True

    def beating(self, stopped: Callable[[], bool]) -> Callable[[], bool]:
        """Return what a loop asks whether to end, so that it beats with each question."""

        def is_stopped() -> bool:
            self.beat()
            return stopped()

        return is_stopped
