"""The app for a WSGI server: `granian --interface wsgi sensory_service.wsgi:app`."""

import os
import sys
from typing import TYPE_CHECKING

from commons.adapters.clock import SystemClock
from commons.adapters.garbage import spare_started
from commons.adapters.opening_app import OpeningApp
from commons.adapters.request_log import configure_logs
from commons.adapters.services import ADMIN
from commons.errors import DiceboxError
from sensory_service.app import (
    PREFIX,
    Settings,
    create_app,
    create_collector,
    create_keys,
    create_platform,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def _create() -> "WSGIApplication":
    platform = create_platform(settings, SystemClock())
    app = create_app(settings, platform, create_keys(settings, platform.clock))
    create_collector(settings, platform).start()
    spare_started()
    return app


configure_logs()
try:
    settings = Settings.from_env(os.environ)
    app = OpeningApp(_create, (PREFIX, ADMIN))
    app.begin()
except DiceboxError as error:
    sys.exit(f"sensory_service: {error}")
