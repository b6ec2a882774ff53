"""`python -m sensory_service.batch_processor` makes shards until it is told to end."""

import os
import signal
import threading

from sensory_service.app import Settings, create_batch_processor

if __name__ == "__main__":
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    create_batch_processor(Settings.from_env(os.environ)).run(stop.is_set)
