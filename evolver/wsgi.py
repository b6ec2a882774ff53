"""The web process: environment in, app out (a factory, so that importing does nothing)."""

import os

from flask_openapi3 import OpenAPI

from commons.adapters.garbage import spare_started
from commons.adapters.request_log import configure_logs
from evolver.app import create_app, settings_of


def create() -> OpenAPI:
    """Return the app of this process."""
    configure_logs()
    app = create_app(settings_of(os.environ))
    spare_started()
    return app
