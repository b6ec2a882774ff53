"""All services and the page under one address, in one process.

Same apps, same paths as behind nginx; only the embedded parts differ.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

import classification_service.app
import evolver.app
import sensory_service.app
from classification_service.v2_routes import V2
from commons.adapters.clock import SystemClock
from commons.adapters.services import ADMIN, CLASSIFICATION, EVOLUTION, SENSORY
from dicebox.local_guard import LocalGuard
from dicebox.page import create_page

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def create_front(
    data: Path,
    *,
    watch: bool,
    settings: sensory_service.app.Settings | None = None,
    serving: classification_service.app.Settings | None = None,
    evolution: evolver.app.Settings | None = None,
) -> "WSGIApplication":
    """Return the one WSGI application for a data folder.

    Args:
        data: The data folder.
        settings: Those of the sensory service, which keeps the keys of all; default: nobody is
            asked for one, because whoever calls in this process has the folder anyway.
        serving: Those of the classification service; default: what it does by itself.
        evolution: Those of the evolver; default: the same.
        watch: Follow promotions and batch processors, which are other processes, with a
            thread each.
    """
    sensory = settings or sensory_service.app.Settings(data=data)
    keys = sensory_service.app.create_keys(sensory, SystemClock(), is_open=settings is None)
    classification = classification_service.app.create_service(
        serving or classification_service.app.Settings(data=data), keys.guard
    )
    platform = sensory_service.app.create_platform(sensory, SystemClock())
    if watch:
        classification.start_watching()
        sensory_service.app.create_collector(sensory, platform).start()
    services: dict[str, WSGIApplication] = {
        EVOLUTION: evolver.app.create_app(evolution or evolver.app.Settings(data=data), keys.guard),
        CLASSIFICATION: classification.app,
        V2: classification.app,
    }
    house = ByPath(services, create_page())
    http = httpx.Client(base_url="http://localhost", transport=httpx.WSGITransport(app=house))
    neighbours = dict.fromkeys((SENSORY, EVOLUTION, CLASSIFICATION), http)
    services[SENSORY] = sensory_service.app.create_app(sensory, platform, keys, neighbours)
    services[ADMIN] = services[SENSORY]
    return LocalGuard(house, keys.guard.is_keyless)


class ByPath:
    """Hands a request to the application whose path it starts with, path unchanged."""

    def __init__(
        self, services: Mapping[str, "WSGIApplication"], otherwise: "WSGIApplication"
    ) -> None:
        self._services = services
        self._otherwise = otherwise

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer through the application the path belongs to."""
        path = environ.get("PATH_INFO", "")
        for prefix, app in self._services.items():
            if path == prefix or path.startswith(prefix + "/"):
                return app(environ, start_response)
        return self._otherwise(environ, start_response)
