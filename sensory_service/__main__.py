"""`python -m sensory_service` serves this service alone; `dicebox up` serves them all."""

import os
import sys

from granian import Granian
from granian.constants import Interfaces

from commons.adapters.clock import SystemClock
from commons.adapters.forked_workers import end_while_starting
from commons.adapters.patience import opened
from commons.adapters.request_log import configure_logs
from commons.adapters.shared_counts import share_counts
from commons.errors import DiceboxError
from commons.listening import listening_address
from sensory_service.app import Settings, check_settings, has_keys

# Freezing a large dataset packs all of its images before it answers.
_LONGEST_REQUEST_S = 600


def main() -> None:
    """Serve until a signal ends it."""
    configure_logs()
    clock = SystemClock()
    try:
        settings = Settings.from_env(os.environ)
        check_settings(settings, clock)
        address = listening_address(
            settings.host,
            # Where none is given, only the tables know.
            lambda: bool(opened(lambda: has_keys(settings, clock), lambda: False, clock)),
            "set DICEBOX_ADMIN_KEY_FILE to a file with what `dicebox keys generate` prints",
        )
        share_counts(settings.data / "metrics" / "sensory")
    except DiceboxError as error:
        sys.exit(f"sensory_service: {error}")
    end_while_starting()
    Granian(
        "sensory_service.wsgi:app",
        address=address,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.server_processes,
        blocking_threads=16,
        websockets=False,
        respawn_failed_workers=True,
        # A connection that never ends must not keep the others' last answers.
        workers_kill_timeout=_LONGEST_REQUEST_S,
    ).serve()


if __name__ == "__main__":
    main()
