"""`python -m classification_service`: the service on granian."""

import os
import sys

from granian import Granian
from granian.constants import Interfaces

from classification_service.app import Settings
from commons.adapters.shared_counts import share_counts
from commons.errors import DiceboxError
from commons.listening import listening_address
from commons.settings import settings_from_env


def main() -> None:
    """Serve until a signal ends it."""
    try:
        settings = settings_from_env(Settings, os.environ)
        address = listening_address(
            settings.host,
            lambda: settings.admin_url is not None,
            "set DICEBOX_ADMIN_URL to the address of the sensory service, which keeps the keys",
        )
    except DiceboxError as error:
        sys.exit(f"classification_service: {error}")
    share_counts(settings.data / "metrics" / "classification")
    Granian(
        "classification_service.wsgi:create",
        address=address,
        port=settings.port,
        interface=Interfaces.WSGI,
        factory=True,
        blocking_threads=4,
    ).serve()


if __name__ == "__main__":
    main()
