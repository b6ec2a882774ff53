"""The app for another WSGI server (a factory, so that importing does nothing)."""

import os
from typing import TYPE_CHECKING

from classification_service.app import Settings, create_service
from commons.adapters.caller import CLASSIFICATION
from commons.adapters.garbage import spare_started
from commons.adapters.opening_app import OpeningApp
from commons.adapters.request_log import configure_logs
from commons.settings import settings_from_env

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def create() -> OpeningApp:
    """Return the app of this process, its watcher running as soon as there are tables."""
    configure_logs()
    settings = settings_from_env(Settings, os.environ)

    def created() -> "WSGIApplication":
        service = create_service(settings)
        service.start_watching()
        spare_started()
        return service.app

    app = OpeningApp(created, (CLASSIFICATION,))
    app.begin()
    return app
