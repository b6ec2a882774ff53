"""The admin API: keys and logins, the health of the services, figures of the storage.

Hosted by the sensory service beside its own routes (`Beside`), because somebody has to keep
the keys and that service is always there.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from flask import Response, request
from flask_openapi3 import APIBlueprint, OpenAPI
from pydantic import Field

from commons.adapters.key_guard import KeyGuard
from commons.adapters.request_log import CALLER
from commons.adapters.services import ADMIN
from commons.adapters.web_app import (
    PUBLIC,
    ServiceScopes,
    answer,
    create_web_app,
    needs,
)
from commons.auth import (
    COOKIE,
    AuthMessage,
    Caller,
    KeyInfo,
    KeyList,
    KeyRequest,
    LoginRequest,
    NewKey,
    PresentedKey,
    WhoAmI,
)
from commons.errors import NotFoundError
from commons.key_desk import KeyDesk

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_SCOPES = ServiceScopes(read=("admin",), write=("admin",))


class KeyPath(AuthMessage):
    """A key by its id."""

    key: str


class ServiceHealth(AuthMessage):
    """A service, and what it misses if it is not ready; `figures` say what waits there."""

    service: str
    ready: bool
    missing: dict[str, str]
    figures: dict[str, float] = Field(default_factory=dict)


class Health(AuthMessage):
    """All services of this Dicebox."""

    services: list[ServiceHealth]


class Storage(AuthMessage):
    """Room where the blobs are, in bytes, and what the catalog counts.

    `image_bytes` is what the images have together, as it was a minute ago at most.
    """

    total_bytes: int = Field(ge=0)
    free_bytes: int = Field(ge=0)
    image_bytes: int = Field(ge=0)
    counts: dict[str, int]


class Beside:
    """Hands what starts with a path to another application, and the rest to the first one."""

    def __init__(self, app: "WSGIApplication", prefix: str, other: "WSGIApplication") -> None:
        self._app = app
        self._prefix = prefix + "/"
        self._other = other

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer through the application the path belongs to."""
        own = environ.get("PATH_INFO", "").startswith(self._prefix)
        return (self._other if own else self._app)(environ, start_response)


def create_admin_app(
    desk: KeyDesk,
    guard: KeyGuard,
    *,
    ready: Callable[[], Mapping[str, str]],
    services: Mapping[str, httpx.Client],
    folder: Callable[[], Path],
    counts: Callable[[], dict[str, int]],
    image_bytes: Callable[[], int],
) -> OpenAPI:
    """Return the app under `/api/admin/v1`.

    Args:
        desk: Keeps the keys.
        guard: Asks for them.
        ready: What the host misses.
        services: Path of a service, to a client of the address where it answers.
        folder: Returns a folder on the disk where the blobs are.
        counts: What the storage holds, from the tables.
        image_bytes: What the images have together; it may take a while to count.
    """
    app = create_web_app("Dicebox admin", ADMIN, ready=ready, guard=guard, scopes=_SCOPES)
    routes = APIBlueprint("admin", __name__, url_prefix=ADMIN)
    _add_keys(routes, desk, guard)
    _add_logins(routes, desk, guard)

    @routes.get("/health", summary="Which services are ready", responses={200: Health})
    def health() -> Response:
        asked = [_health(path, http) for path, http in services.items()]
        return answer(Health(services=asked))

    @routes.get("/storage", summary="How much room there is", responses={200: Storage})
    def storage() -> Response:
        disk = shutil.disk_usage(folder())
        return answer(
            Storage(
                total_bytes=disk.total,
                free_bytes=disk.free,
                image_bytes=image_bytes(),
                counts=counts(),
            )
        )

    app.register_api(routes)
    return app


def _add_keys(routes: APIBlueprint, desk: KeyDesk, guard: KeyGuard) -> None:
    @routes.post("/keys", summary="Make a key; its text is shown once", responses={201: NewKey})
    def create(body: KeyRequest) -> Response:
        new = desk.create(body)
        guard.forget()
        return _not_kept(answer(new, 201))

    @routes.get("/keys", summary="All keys, newest first", responses={200: KeyList})
    def list_keys() -> Response:
        return answer(KeyList(keys=desk.list()))

    @routes.delete("/keys/<key>", summary="Revoke a key", responses={200: KeyInfo})
    def revoke(path: KeyPath) -> Response:
        revoked = desk.revoke(path.key)
        guard.forget()
        return answer(revoked)

    @routes.post(
        "/introspect",
        summary="What a key may do, by its sha256; for the services",
        security=PUBLIC,
        responses={200: KeyInfo},
    )
    def introspect(body: PresentedKey) -> Response:
        key = desk.find(body)
        if key is None:
            raise NotFoundError("this key is unknown, expired or revoked", kind="invalid-key")
        return answer(key)


def _add_logins(routes: APIBlueprint, desk: KeyDesk, guard: KeyGuard) -> None:
    @routes.post(
        "/login", summary="Trade a key for a cookie", security=PUBLIC, responses={204: None}
    )
    def login(body: LoginRequest) -> Response:
        cookie, seconds = desk.login(body.key)
        response = _not_kept(Response(status=204))
        response.set_cookie(COOKIE, cookie, max_age=int(seconds), **_cookie_options())
        return response

    @routes.post("/logout", summary="End the login", security=PUBLIC, responses={204: None})
    def logout() -> Response:
        desk.logout(request.cookies.get(COOKIE, ""))
        guard.forget()
        response = Response(status=204)
        response.delete_cookie(COOKIE, **_cookie_options())
        return response

    @routes.get(
        "/whoami",
        summary="Who calls, and what they may do",
        security=needs(),
        responses={200: WhoAmI},
    )
    def whoami() -> Response:
        caller: Caller = request.environ[CALLER]
        key = caller.key
        return answer(
            WhoAmI(
                key=key.id if key else None,
                name=key.name if key else None,
                scopes=caller.scopes,
                expires=key.expires if key else None,
            )
        )


def _cookie_options() -> dict[str, Any]:
    secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
    return {"path": "/", "httponly": True, "samesite": "Strict", "secure": secure}


def _not_kept(response: Response) -> Response:
    """Return a response that no cache keeps: it holds a secret."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _health(path: str, http: httpx.Client) -> ServiceHealth:
    try:
        reply = http.get(f"{path}/readyz", params={"figures": "true"})
        said = reply.json()
        missing = {str(name): str(why) for name, why in said["missing"].items()}
        figures = {str(name): float(value) for name, value in said.get("figures", {}).items()}
        return ServiceHealth(service=path, ready=reply.is_success, missing=missing, figures=figures)
    except (httpx.TransportError, ValueError, KeyError, AttributeError, TypeError) as error:
        return ServiceHealth(service=path, ready=False, missing={"service": f"no answer: {error}"})
