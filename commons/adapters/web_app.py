"""What every service's Flask app has: OpenAPI, problem+json errors, health and readiness."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from flask import Response, redirect, request
from flask_openapi3 import Info, OpenAPI
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from commons.adapters.form_files import FormRequest
from commons.adapters.key_guard import KeyGuard, check_origin
from commons.adapters.metrics import ServiceMetrics
from commons.adapters.openapi_document import DOCUMENTATION, DocumentedApp, protect_pages
from commons.adapters.problems import (
    PROBLEM_TYPE,
    Problem,
    ProblemReply,
    problem_of,
    problem_of_request,
    problem_reply,
)
from commons.adapters.request_log import CALLER, follow_requests, request_id
from commons.auth import COOKIE, Scope
from commons.errors import TooLargeError

# Where a view finds in the WSGI environment the name of the key.
WHO = "dicebox.who"
# Of a route that anybody may call.
PUBLIC: list[dict[str, list[Any]]] = [{}]
SECURITY_SCHEMES: dict[str, Any] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `dbx_...`. The words at a route are scopes; `admin` has all.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What `POST /api/admin/v1/login` trades a key for; Origin must be our own.",
    },
}


class ServiceScopes(NamedTuple):
    """What a route needs that says nothing itself: one of these, by its method."""

    read: tuple[Scope, ...]
    write: tuple[Scope, ...]


def needs(*scopes: Scope) -> list[dict[str, list[Any]]]:
    """Return a route's `security`: a key with any one of these scopes, or any key at all."""
    names: Sequence[list[Any]] = [[scope] for scope in scopes] or [[]]
    return [{scheme: scope} for scheme in SECURITY_SCHEMES for scope in names]


class Life(BaseModel):
    """The process lives."""

    status: Literal["alive"]


class ReadyQuery(BaseModel):
    """Whether the figures of the service are asked for too."""

    figures: bool = False


class Readiness(BaseModel):
    """Whether the service can do its work, and what is missing with the reason.

    `figures` are there where they were asked for: what waits, by name.
    """

    ready: bool
    missing: dict[str, str]
    figures: dict[str, float] | None = None


def create_web_app(
    title: str,
    prefix: str,
    *,
    ready: Callable[[], Mapping[str, str]],
    guard: KeyGuard,
    scopes: ServiceScopes,
    metrics: ServiceMetrics | None = None,
    figures: Callable[[], Mapping[str, float]] = dict,
    max_body_bytes: int = 64 * 1024 * 1024,
) -> OpenAPI:
    """Return an app with documentation, `healthz` and `readyz` under `prefix`, and no routes yet.

    Args:
        title: Name in the documentation.
        prefix: Path of the service, such as `/api/sensory/v1`.
        ready: Returns what is missing, name to reason; empty when the service is ready.
        guard: Asks for keys.
        scopes: What routes need that do not say it by `security=needs(...)` or `PUBLIC`.
        metrics: Where the service counts; default: requests alone.
        figures: Returns what waits, by name, for whoever asks how the service is.
        max_body_bytes: A longer request body is refused with 413.
    """
    app = DocumentedApp(
        title.replace(" ", "_"),
        info=Info(title=title, version="1"),
        doc_prefix=prefix,
        doc_url="/openapi.json",
        security_schemes=SECURITY_SCHEMES,
        validation_error_status=400,
        validation_error_model=Problem,
        validation_error_callback=_answer_wrong_request,
        static_folder=None,
    )
    app.request_class = FormRequest
    app.complete_security = partial(_complete_security, scopes)
    protect_pages(app)
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_error)
    counts = metrics or ServiceMetrics(prefix)
    follow_requests(app, counts)
    _ask_for_keys(app, guard, scopes)

    # Where people look for it; the page itself comes with flask-openapi3-swagger.
    app.add_url_rule(f"{prefix}/docs", "docs", lambda: redirect(f"{prefix}/swagger"))

    @app.get(
        f"{prefix}/healthz", summary="The process lives", security=PUBLIC, responses={200: Life}
    )
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get(
        f"{prefix}/readyz",
        summary="The service can do its work, or what is missing",
        security=PUBLIC,
        responses={200: Readiness, 503: Readiness},
    )
    def readyz(query: ReadyQuery) -> tuple[dict[str, Any], int]:
        missing = dict(ready())
        said: dict[str, Any] = {"ready": not missing, "missing": missing}
        if query.figures and not missing:
            said["figures"] = dict(figures())
        return said, 503 if missing else 200

    @app.get(
        f"{prefix}/metrics",
        summary="Figures for Prometheus; any key will do",
        security=needs(),
    )
    def show_metrics() -> Response:
        return Response(counts.text(), content_type=CONTENT_TYPE_LATEST)

    return app


def _ask_for_keys(app: OpenAPI, guard: KeyGuard, scopes: ServiceScopes) -> None:
    """Have every request pass the guard, by what the OpenAPI document says of its route."""
    needed: dict[tuple[str, str], tuple[Scope, ...] | None] = {}

    def needed_by(method: str, rule: str) -> tuple[Scope, ...] | None:
        operation = getattr(app.paths.get(_document_path(rule)), method.lower(), None)
        if operation is None or not operation.security:
            return scopes.read if method == "GET" else scopes.write
        return scopes_of(operation.security)

    @app.before_request
    def admit() -> None:
        rule = request.url_rule
        if rule is None or request.blueprint in DOCUMENTATION or rule.endpoint == "docs":
            return
        method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
        place = (method, rule.rule)
        if place not in needed:
            needed[place] = needed_by(*place)
        of_route = needed[place]
        if of_route is not None:
            caller = guard.admit(request.environ, of_route)
            request.environ[CALLER] = caller
            request.environ[WHO] = caller.key.name if caller.key else None
        elif "HTTP_ORIGIN" in request.environ:
            check_origin(request.environ)


def scopes_of(security: Sequence[Mapping[str, Sequence[Any]]]) -> tuple[Scope, ...] | None:
    """Return the scopes of a route's `security`, any of which will do; nothing if it is public."""
    if list(security) == PUBLIC:
        return None
    return tuple(scope for one in security for scope in one.get("key", ()))


def _complete_security(scopes: ServiceScopes, method: str, operation: dict[str, Any]) -> None:
    if not operation.get("security"):
        operation["security"] = needs(*(scopes.read if method == "get" else scopes.write))


def _document_path(rule: str) -> str:
    return re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule)


def answer(message: BaseModel, status: int = 200) -> Response:
    """Return a message as a JSON response."""
    return Response(message.model_dump_json(), status, mimetype="application/json")


def problem(status: int, kind: str, title: str, detail: str) -> Response:
    """Return an `application/problem+json` response."""
    return _response(problem_reply(status, kind, title, detail, request_id()))


def _answer_error(error: Exception) -> Response:
    return _response(problem_of(error, request_id()))


def _answer_wrong_request(error: ValidationError) -> Response:
    return _response(problem_of_request(error, request_id()))


def _response(said: ProblemReply) -> Response:
    return Response(said.body, said.status, said.headers, mimetype=PROBLEM_TYPE)


def _answer_http_error(error: HTTPException) -> Response:
    own = error.get_response()
    if error.code is None or error.code < 400:  # noqa: PLR2004 - a redirect is an answer
        return Response(own.get_data(), own.status, own.headers)
    if isinstance(error, RequestEntityTooLarge):
        return _answer_error(TooLargeError(_what_is_too_large()))
    kind = error.name.lower().replace(" ", "-")
    response = problem(error.code, kind, error.name, error.description or error.name)
    for name in ("Allow", "Retry-After"):
        if name in own.headers:
            response.headers[name] = own.headers[name]
    return response


def _what_is_too_large() -> str:
    most, came = request.max_content_length, request.content_length
    if most is not None and (came is None or came > most):
        got = "more" if came is None else f"{came:,}"
        return f"expected a body of at most {most:,} bytes, got {got}"
    return (
        f"expected a form of at most {request.max_form_parts or 0:,} files and fields, with "
        f"{request.max_form_memory_size or 0:,} bytes in fields that are no files, got more"
    )
