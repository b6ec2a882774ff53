"""`python -m classification_service.job_worker` does the work behind until it is told to end."""

import logging
import os
import signal
import sys
from collections.abc import Callable

from classification_service.app import Settings, create_job_worker
from classification_service.consumer import JobWorker
from commons.adapters.clock import SystemClock
from commons.adapters.request_log import configure_logs
from commons.errors import DiceboxError, StorageFullError, UnavailableError
from commons.ports import Clock
from commons.settings import settings_from_env

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_NAP_S = 0.2
_LOG = logging.getLogger(__name__)


def main() -> None:
    """Work until a signal ends it."""
    configure_logs()
    # No event: a second signal that comes while the first one sets it would find its lock taken.
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    try:
        settings = settings_from_env(Settings, os.environ)
        worker = opened(lambda: create_job_worker(settings), lambda: bool(signals), SystemClock())
    except DiceboxError as error:
        sys.exit(f"job worker: {error}")
    if worker is not None:
        worker.run(lambda: bool(signals))


def opened(
    create: Callable[[], JobWorker], stopped: Callable[[], bool], clock: Clock
) -> JobWorker | None:
    """Return the worker as soon as its database can be reached, or nothing if that is too late.

    Raises:
        DiceboxError: What no waiting helps against.
    """
    pause_s = _FIRST_PAUSE_S
    while not stopped():
        try:
            return create()
        except (UnavailableError, StorageFullError) as error:
            _LOG.warning("cannot begin yet: %s", error)
        until = clock.monotonic() + pause_s
        while not stopped() and clock.monotonic() < until:
            clock.sleep(_NAP_S)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return None


if __name__ == "__main__":
    main()
