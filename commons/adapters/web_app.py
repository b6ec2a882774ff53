"""What every service's Flask app has: OpenAPI, problem+json errors, health and readiness."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, json, redirect
from flask_openapi3 import Info, OpenAPI
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException

from commons.errors import (
    ConflictError,
    DiceboxError,
    ForbiddenError,
    GoneError,
    InvalidInputError,
    NotFoundError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
)

_STATUS: tuple[tuple[type[DiceboxError], int], ...] = (
    (InvalidInputError, 400),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (ConflictError, 409),
    (GoneError, 410),
    (TooLargeError, 413),
    (UnavailableError, 503),
    (StorageFullError, 507),
)
_LOG = logging.getLogger(__name__)


class Problem(BaseModel):
    """RFC 9457: `type` is the word for programs, `detail` the sentence for people."""

    type: str
    title: str
    status: int
    detail: str


def create_web_app(
    title: str,
    prefix: str,
    *,
    ready: Callable[[], Mapping[str, str]],
    max_body_bytes: int = 64 * 1024 * 1024,
) -> OpenAPI:
    """Return an app with documentation, `healthz` and `readyz` under `prefix`, and no routes yet.

    Args:
        title: Name in the documentation.
        prefix: Path of the service, such as `/api/sensory/v1`.
        ready: Returns what is missing, name to reason; empty when the service is ready.
        max_body_bytes: A longer request body is refused with 413.
    """
    app = OpenAPI(
        title.replace(" ", "_"),
        info=Info(title=title, version="1"),
        doc_prefix=prefix,
        doc_url="/openapi.json",
        validation_error_status=400,
        validation_error_model=Problem,
        validation_error_callback=_answer_validation_error,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.register_error_handler(DiceboxError, _answer_own_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_surprise)

    # Where people look for it; the page itself comes with flask-openapi3-swagger.
    app.add_url_rule(f"{prefix}/docs", "docs", lambda: redirect(f"{prefix}/swagger"))

    @app.get(f"{prefix}/healthz", summary="The process lives")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get(f"{prefix}/readyz", summary="The service can do its work, or what is missing")
    def readyz() -> tuple[dict[str, Any], int]:
        missing = dict(ready())
        return {"ready": not missing, "missing": missing}, 503 if missing else 200

    return app


def answer(message: BaseModel, status: int = 200) -> Response:
    """Return a message as a JSON response."""
    return Response(message.model_dump_json(), status, mimetype="application/json")


def problem(status: int, kind: str, title: str, detail: str) -> Response:
    """Return an `application/problem+json` response."""
    body = Problem(type=kind, title=title, status=status, detail=detail)
    return Response(body.model_dump_json(), status, mimetype="application/problem+json")


def _answer_own_error(error: DiceboxError) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    response = problem(status, error.kind, error.kind.replace("-", " "), str(error))
    if isinstance(error, UnavailableError):
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return response


def _answer_http_error(error: HTTPException) -> Response:
    own = error.get_response()
    if error.code is None or error.code < 400:  # noqa: PLR2004 - a redirect is an answer
        return Response(own.get_data(), own.status, own.headers)
    kind = error.name.lower().replace(" ", "-")
    response = problem(error.code, kind, error.name, error.description or error.name)
    for name in ("Allow", "Retry-After"):
        if name in own.headers:
            response.headers[name] = own.headers[name]
    return response


def _answer_surprise(error: Exception) -> Response:
    _LOG.error("a request failed", exc_info=error)
    return problem(500, "internal-error", "Internal Server Error", "The service's log says more.")


def _answer_validation_error(error: ValidationError) -> Response:
    faults = [_fault(fault) for fault in json.loads(error.json(include_url=False))]
    return problem(400, "invalid-input", "invalid input", "; ".join(faults))


def _fault(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "body"
    return f"{where}: {fault['msg']}, got {str(fault.get('input'))[:100]!r}"
