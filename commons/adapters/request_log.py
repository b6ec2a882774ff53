"""Logs as JSON lines, and the id that ties the lines of one request together.

One line a request at level info: method, path without its query, status, milliseconds and the
id of the key, never the key. `X-Request-ID` is taken from whoever asks (nginx sets its own),
sent back, and stands in every line and in every problem of that request.
"""

import json
import logging
import re
import sys
import time
import uuid
from contextvars import ContextVar

from flask import Response, request
from flask_openapi3 import OpenAPI

from commons.adapters.metrics import ServiceMetrics, route_of_request
from commons.auth import Caller

CALLER = "dicebox.caller"
HEADER = "X-Request-ID"
_STARTED = "dicebox.started"
_LOG = logging.getLogger("dicebox.request")
_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
# What they say at level info is no news.
_TALKATIVE = ("httpx", "alembic", "httpcore")


class JsonLines(logging.Formatter):
    """A record as one line of JSON; fields come by `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := _REQUEST_ID.get():
            line["request_id"] = request_id
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - its name
        """Return the time in UTC, to the millisecond."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"


def configure_logs() -> None:
    """Have this process write its logs as JSON lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def request_id() -> str:
    """Return the id of the present request, or nothing outside of one."""
    return _REQUEST_ID.get()


def follow_requests(app: OpenAPI, metrics: ServiceMetrics) -> None:
    """Give every request an id, a line in the log and a place in the figures."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(HEADER, "")
        _REQUEST_ID.set(given if _FORM.fullmatch(given) else uuid.uuid4().hex)
        request.environ[_STARTED] = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        # A request that could not even be read has not begun.
        seconds = time.perf_counter() - request.environ.get(_STARTED, time.perf_counter())
        response.headers[HEADER] = _REQUEST_ID.get()
        metrics.observe(request.method, route_of_request(), response.status_code, seconds)
        _write_line(response.status_code, seconds)
        return response

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        _REQUEST_ID.set("")


def _write_line(status: int, seconds: float) -> None:
    if not _LOG.isEnabledFor(logging.INFO):
        return
    caller: Caller | None = request.environ.get(CALLER)
    fields = {
        "method": request.method,
        "path": request.path,
        "status": status,
        "ms": round(1000 * seconds, 2),
        "key": caller.key.id if caller is not None and caller.key is not None else None,
    }
    _LOG.info("request", extra={"fields": fields})
