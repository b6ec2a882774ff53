"""The app for another WSGI server (a factory, so that importing does nothing)."""

import os

from flask_openapi3 import OpenAPI

from classification_service.app import Settings, create_service
from commons.adapters.garbage import spare_started
from commons.adapters.request_log import configure_logs
from commons.settings import settings_from_env


def create() -> OpenAPI:
    """Return the app of this process, its watcher running."""
    configure_logs()
    service = create_service(settings_from_env(Settings, os.environ))
    service.start_watching()
    spare_started()
    return service.app
