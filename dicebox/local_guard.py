"""Protects a keyless service on loopback from pages of other sites in the user's browser."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from commons.adapters.key_guard import check_local
from commons.adapters.web_app import problem
from commons.errors import DiceboxError, ForbiddenError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class LocalGuard:
    """A WSGI layer that answers 403 where the Host or Origin header is not of this machine.

    A foreign Host is a name that was rebound to 127.0.0.1; a foreign Origin is a page of
    another site that sends requests here. Where keys are asked for neither can do anything,
    and a proxy in front may have any name.
    """

    def __init__(self, app: "WSGIApplication", is_keyless: Callable[[], bool]) -> None:
        self._app = app
        self._is_keyless = is_keyless

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer 403, or hand the request on."""
        try:
            check_local(environ)
        except ForbiddenError as error:
            if self._must_be_local():
                refused = problem(403, error.kind, "Forbidden", str(error))
                return refused(environ, start_response)
        return self._app(environ, start_response)

    def _must_be_local(self) -> bool:
        try:
            return self._is_keyless()
        except DiceboxError:  # the tables do not answer: the stricter way
            return True
