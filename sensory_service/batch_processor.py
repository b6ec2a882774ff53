"""`python -m sensory_service.batch_processor` makes shards until it is told to end."""

import os
import signal
import sys

from commons.adapters.request_log import configure_logs
from commons.errors import DiceboxError
from sensory_service.app import Settings, create_batch_processor

if __name__ == "__main__":
    configure_logs()
    # No event: a second signal that comes while the first one sets it would find its lock taken.
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    try:
        create_batch_processor(Settings.from_env(os.environ)).run(lambda: bool(signals))
    except DiceboxError as error:
        sys.exit(f"batch processor: {error}")
