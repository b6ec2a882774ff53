"""`python -m classification_service`: the service on granian."""

import os

from granian import Granian
from granian.constants import Interfaces

from classification_service.app import Settings
from commons.adapters.shared_counts import share_counts
from commons.settings import settings_from_env


def main() -> None:
    """Serve until a signal ends it."""
    settings = settings_from_env(Settings, os.environ)
    share_counts(settings.data / "metrics" / "classification")
    Granian(
        "classification_service.wsgi:create",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        factory=True,
        blocking_threads=4,
    ).serve()


if __name__ == "__main__":
    main()
