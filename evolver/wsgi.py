"""The web process: environment in, app out (a factory, so that importing does nothing)."""

import os
from typing import TYPE_CHECKING

from commons.adapters.garbage import spare_started
from commons.adapters.opening_app import OpeningApp
from commons.adapters.request_log import configure_logs
from evolver.app import create_app, settings_of
from evolver.routes import PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def create() -> OpeningApp:
    """Return the app of this process; it may have to wait for its tables."""
    configure_logs()
    settings = settings_of(os.environ)

    def created() -> "WSGIApplication":
        app = create_app(settings)
        spare_started()
        return app

    app = OpeningApp(created, (PREFIX,))
    app.begin()
    return app
