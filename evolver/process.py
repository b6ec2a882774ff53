"""The runner as a process: its signals and its exit code."""

import logging
import os
import signal
import sys
from types import FrameType

from commons.adapters.request_log import configure_logs
from commons.errors import DiceboxError
from commons.settings import settings_from_env
from evolver.app import Settings, create_runner


def main() -> None:
    """Drive queued runs until SIGTERM or Ctrl-C; then the present one is `interrupted`."""
    configure_logs()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        create_runner(settings_from_env(Settings, os.environ)).run()
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("ended by a signal")
    except DiceboxError as error:
        sys.exit(f"evolver: {error}")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # The first signal unwinds what runs; a second must not disturb that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
