"""The app for a WSGI server: `granian --interface wsgi sensory_service.wsgi:app`."""

import os

from commons.adapters.clock import SystemClock
from commons.adapters.garbage import spare_started
from commons.adapters.request_log import configure_logs
from sensory_service.app import Settings, create_app, create_collector, create_platform

configure_logs()
settings = Settings.from_env(os.environ)
platform = create_platform(settings, SystemClock())
app = create_app(settings, platform)
create_collector(settings, platform).start()
spare_started()
