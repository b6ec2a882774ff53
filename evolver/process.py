"""The runner as a process: its signals and its exit code."""

import logging
import os
import signal
import sys
from types import FrameType

from commons.adapters.clock import SystemClock
from commons.adapters.heartbeat_file import HeartbeatFile
from commons.adapters.patience import opened
from commons.adapters.request_log import configure_logs
from commons.errors import DiceboxError
from evolver.app import create_runner, settings_of


class InterruptedClock(SystemClock):
    """A clock that no sleep is to be had from once a signal came.

    The signal itself raises KeyboardInterrupt wherever the process is at that moment. Python
    drops what is raised in a finalizer, and an error on the way out takes its place; so it is
    raised again where the process next sleeps, which the runner does all the time.

    `heartbeat` beats with each of them.
    """

    def __init__(self) -> None:
        self._came = False
        self.heartbeat = HeartbeatFile()

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Be the handler of SIGTERM and SIGINT."""
        # The first signal unwinds what runs; a second must not disturb that.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._came = True
        raise KeyboardInterrupt

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds.

        Raises:
            KeyboardInterrupt: A signal came, whenever that was.
        """
        if self._came:
            raise KeyboardInterrupt
        self.heartbeat.beat()
        super().sleep(seconds)


def main() -> None:
    """Drive queued runs until SIGTERM or Ctrl-C; then the present one is `interrupted`."""
    configure_logs()
    clock = InterruptedClock()
    signal.signal(signal.SIGTERM, clock.interrupt)
    signal.signal(signal.SIGINT, clock.interrupt)
    try:
        settings = settings_of(os.environ)
        runner = opened(lambda: create_runner(settings, clock), lambda: False, clock)
        if runner is not None:
            # Not before: one that cannot begin is not to be taken for one that works.
            clock.heartbeat = HeartbeatFile(settings.alive_file)
            runner.run()
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("ended by a signal")
    except DiceboxError as error:
        sys.exit(f"evolver: {error}")
