"""`python -m sensory_service` serves this service alone; `dicebox up` serves them all."""

from granian import Granian
from granian.constants import Interfaces

Granian(
    "sensory_service.wsgi:app", interface=Interfaces.WSGI, port=8001, blocking_threads=16
).serve()
