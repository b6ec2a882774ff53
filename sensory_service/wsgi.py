"""The app for a WSGI server: `granian --interface wsgi sensory_service.wsgi:app`."""

import os

from sensory_service.app import Settings, create_app

app = create_app(Settings.from_env(os.environ))
