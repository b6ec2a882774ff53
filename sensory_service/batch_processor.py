"""`python -m sensory_service.batch_processor` makes shards until it is told to end."""

import os
import signal
import sys
import threading

from commons.errors import DiceboxError
from sensory_service.app import Settings, create_batch_processor

if __name__ == "__main__":
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        create_batch_processor(Settings.from_env(os.environ)).run(stop.is_set)
    except DiceboxError as error:
        sys.exit(f"batch processor: {error}")
