"""`python -m sensory_service` serves this service alone; `dicebox up` serves them all."""

import os
import sys

from granian import Granian
from granian.constants import Interfaces

from commons.adapters.clock import SystemClock
from commons.adapters.shared_counts import share_counts
from commons.errors import DiceboxError
from commons.listening import listening_address
from sensory_service.app import Settings, create_keys


def main() -> None:
    """Serve until a signal ends it."""
    try:
        settings = Settings.from_env(os.environ)
        address = listening_address(
            settings.host,
            lambda: _has_keys(settings),
            "set DICEBOX_ADMIN_KEY_FILE to a file with what `dicebox keys generate` prints",
        )
    except DiceboxError as error:
        sys.exit(f"sensory_service: {error}")
    share_counts(settings.data / "metrics" / "sensory")
    Granian(
        "sensory_service.wsgi:app",
        address=address,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.server_processes,
        blocking_threads=16,
    ).serve()


def _has_keys(settings: Settings) -> bool:
    return create_keys(settings, SystemClock()).desk.has_good_key()


if __name__ == "__main__":
    main()
