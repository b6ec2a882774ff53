"""The web process: environment in, app out (a factory, so that importing does nothing)."""

import os

from flask_openapi3 import OpenAPI

from commons.adapters.garbage import spare_started
from commons.adapters.request_log import configure_logs
from commons.settings import settings_from_env
from evolver.app import Settings, create_app


def create() -> OpenAPI:
    """Return the app of this process."""
    configure_logs()
    app = create_app(settings_from_env(Settings, os.environ))
    spare_started()
    return app
