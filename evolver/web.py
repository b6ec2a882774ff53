"""`python -m evolver.web` serves the API of the runs; `python -m evolver` drives them."""

import os
import sys

from granian import Granian
from granian.constants import Interfaces

from commons.adapters.forked_workers import end_while_starting
from commons.adapters.shared_counts import share_counts
from commons.errors import DiceboxError
from commons.listening import listening_address
from evolver.app import check_settings, settings_of

# Watching a run takes the longest.
_ENDS_IN_S = 5


def main() -> None:
    """Serve until a signal ends it."""
    try:
        settings = settings_of(os.environ)
        check_settings(settings)
        address = listening_address(
            settings.host,
            lambda: settings.admin_url is not None,
            "set DICEBOX_ADMIN_URL to the address of the sensory service, which keeps the keys",
        )
        share_counts(settings.data / "metrics" / "evolver")
    except DiceboxError as error:
        sys.exit(f"evolver: {error}")
    end_while_starting()
    Granian(
        "evolver.wsgi:create",
        address=address,
        port=settings.port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=settings.server_processes,
        # Who watches has a thread meanwhile; the rest answer.
        blocking_threads=settings.watching_slots + 12,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=int(settings.longest_watch_s) + _ENDS_IN_S,
    ).serve()


if __name__ == "__main__":
    main()
