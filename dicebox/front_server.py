"""`python -m dicebox.front_server`: the front on granian, a child of `dicebox up`."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from granian.constants import Interfaces
from granian.server import Server

from commons.adapters.garbage import spare_started
from commons.adapters.parent_death import end_with_parent
from commons.adapters.shared_counts import share_counts
from commons.errors import DiceboxError
from commons.settings import Settings, settings_from_env

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Waiting routes hold a thread each (their pool is bounded by half of this); the rest answer.
_THREADS = 16


class FrontSettings(Settings):
    """Where the front listens and which folder it serves."""

    data: Path
    host: str
    port: int


def create() -> "WSGIApplication":
    """Return the application of granian's worker process."""
    # Forked from granian's parent, this process has the handlers of that one, which do nothing
    # here; granian sets those of its workers when the application is there.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A killed parent takes its worker along.
    end_with_parent(signal.SIGKILL)
    from commons.adapters.request_log import configure_logs  # noqa: PLC0415

    configure_logs()
    import classification_service.app  # noqa: PLC0415 - granian's parent needs none of it
    import evolver.app  # noqa: PLC0415
    import sensory_service.app  # noqa: PLC0415
    from dicebox.front import create_front  # noqa: PLC0415

    try:
        settings = sensory_service.app.Settings.from_env(os.environ)
        serving = settings_from_env(classification_service.app.Settings, os.environ)
        # This process has the cores for itself, where the service alone shares them with others.
        serving = serving.model_copy(update={"server_processes": 1})
        front = create_front(
            settings.data,
            watch=True,
            settings=settings,
            serving=serving,
            evolution=evolver.app.settings_of(os.environ),
        )
    except DiceboxError as error:
        # The house quotes the last line of the log. granian gives up at the second failure.
        sys.exit(str(error))
    spare_started()
    return front


def main() -> None:
    """Serve until a signal ends it."""
    # The threads of a killed house end one by one, and each sends the signal of its death: a
    # second SIGTERM in the handler of the first would have granian wait for ever. Nothing is
    # lost with a kill, for what was answered is durable.
    end_with_parent(signal.SIGKILL)
    settings = settings_from_env(FrontSettings, os.environ)
    share_counts(settings.data / "metrics")
    Server(
        "dicebox.front_server:create",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        factory=True,
        blocking_threads=_THREADS,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=5,
    ).serve()


if __name__ == "__main__":
    main()
