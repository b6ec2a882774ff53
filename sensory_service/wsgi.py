"""The app for a WSGI server: `granian --interface wsgi sensory_service.wsgi:app`."""

import os

from commons.adapters.garbage import spare_started
from commons.adapters.request_log import configure_logs
from sensory_service.app import Settings, create_app

configure_logs()
app = create_app(Settings.from_env(os.environ))
spare_started()
