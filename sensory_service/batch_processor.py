"""`python -m sensory_service.batch_processor` makes shards until it is told to end."""

import os
import signal
import sys

from commons.adapters.clock import SystemClock
from commons.adapters.heartbeat_file import HeartbeatFile
from commons.adapters.patience import opened
from commons.adapters.request_log import configure_logs
from commons.errors import DiceboxError
from sensory_service.app import Settings, create_batch_processor


def main() -> None:
    """Work until a signal ends it."""
    configure_logs()
    # No event: a second signal that comes while the first one sets it would find its lock taken.
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    try:
        settings = Settings.from_env(os.environ)
        worker = opened(
            lambda: create_batch_processor(settings), lambda: bool(signals), SystemClock()
        )
    except DiceboxError as error:
        sys.exit(f"batch processor: {error}")
    if worker is not None:
        # Not before: one that cannot begin is not to be taken for one that works.
        worker.run(HeartbeatFile(settings.alive_file).beating(lambda: bool(signals)))


if __name__ == "__main__":
    main()
