"""`python -m sensory_service` serves this service alone; `dicebox up` serves them all."""

import os

from granian import Granian
from granian.constants import Interfaces

from commons.adapters.shared_counts import share_counts
from sensory_service.app import Settings


def main() -> None:
    """Serve until a signal ends it."""
    settings = Settings.from_env(os.environ)
    share_counts(settings.data / "metrics" / "sensory")
    Granian(
        "sensory_service.wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.server_processes,
        blocking_threads=16,
    ).serve()


if __name__ == "__main__":
    main()
