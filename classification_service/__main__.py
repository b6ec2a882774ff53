"""`python -m classification_service`: the service, in several processes."""

import os
import sys

from classification_service.app import Settings, check_settings
from classification_service.server import Server, listen
from commons.adapters.request_log import configure_logs
from commons.adapters.shared_counts import share_counts
from commons.errors import DiceboxError
from commons.listening import listening_address
from commons.settings import settings_from_env

_WORKER = (sys.executable, "-m", "classification_service.worker")


def main() -> None:
    """Serve until a signal ends it."""
    configure_logs()
    try:
        settings = settings_from_env(Settings, os.environ)
        check_settings(settings)
        address = listening_address(
            settings.host,
            lambda: settings.admin_url is not None,
            "set DICEBOX_ADMIN_URL to the address of the sensory service, which keeps the keys",
        )
        share_counts(settings.data / "metrics" / "classification")
        listener = listen(address, settings.port)
        Server(listener, _WORKER, settings.server_processes, settings.drain_s).serve()
    except DiceboxError as error:
        sys.exit(f"classification_service: {error}")


if __name__ == "__main__":
    main()
