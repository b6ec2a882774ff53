"""All services and the page under one address, in one process.

Same apps, same paths as behind nginx; only the embedded parts differ.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import classification_service.app
import evolver.app
import sensory_service.app
from commons.adapters.services import CLASSIFICATION, EVOLUTION, SENSORY
from dicebox.local_guard import LocalGuard
from dicebox.page import create_page

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def create_front(data: Path, *, watch: bool) -> "WSGIApplication":
    """Return the one WSGI application for a data folder.

    Args:
        data: The data folder.
        watch: Follow promotions by other processes too, with a thread of its own.
    """
    classification = classification_service.app.create_service(
        classification_service.app.Settings(data=data)
    )
    if watch:
        classification.start_watching()
    services: dict[str, WSGIApplication] = {
        SENSORY: sensory_service.app.create_app(sensory_service.app.Settings(data=data)),
        EVOLUTION: evolver.app.create_app(evolver.app.Settings(data=data)),
        CLASSIFICATION: classification.app,
    }
    return LocalGuard(ByPath(services, create_page()))


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
            if path.startswith(prefix + "/"):
                return app(environ, start_response)
        return self._otherwise(environ, start_response)
