"""`python -m sensory_service` serves this service alone; `dicebox up` serves them all."""

import os

from granian import Granian
from granian.constants import Interfaces

from commons.adapters.shared_counts import share_counts
from sensory_service.app import Settings

if __name__ == "__main__":
    share_counts(Settings.from_env(os.environ).data / "metrics" / "sensory")
    Granian(
        "sensory_service.wsgi:app", interface=Interfaces.WSGI, port=8001, blocking_threads=16
    ).serve()
