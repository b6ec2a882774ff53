"""Protects a keyless service on loopback from pages of other sites in the user's browser."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from commons.adapters.web_app import problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class LocalGuard:
    """A WSGI layer that answers 403 where the Host or Origin header is not of this machine.

    A foreign Host is a name that was rebound to 127.0.0.1; a foreign Origin is a page of
    another site that sends requests here.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer 403, or hand the request on."""
        for name in ("HTTP_HOST", "HTTP_ORIGIN"):
            value = environ.get(name)
            if value is not None and not _is_local(value):
                detail = f"expected {name[5:].title()} to be of this machine, got {value[:100]!r}"
                refused = problem(403, "foreign-origin", "Forbidden", detail)
                return refused(environ, start_response)
        return self._app(environ, start_response)


def _is_local(value: str) -> bool:
    try:
        return urlsplit(value if "//" in value else f"//{value}").hostname in _LOOPBACK
    except ValueError:
        return False
