"""A WSGI application that answers before it can work, and says what it waits for."""

import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from commons.adapters.clock import SystemClock
from commons.adapters.patience import opened
from commons.adapters.problems import PROBLEM_TYPE, ProblemReply, problem_of
from commons.errors import DiceboxError, StorageFullError, UnavailableError
from commons.ports import Clock

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_LOG = logging.getLogger(__name__)
_FAILED = 1


class OpeningApp:
    """An application that is made as soon as its database, say, can be reached.

    Until then the process lives (`healthz`), is not ready (`readyz` says why, as `start`), and
    answers everything else with 503.

    Args:
        create: Makes the application.
        prefixes: Paths of the services in it.
        clock: Waits between two tries.
    """

    def __init__(
        self,
        create: Callable[[], "WSGIApplication"],
        prefixes: Sequence[str],
        clock: Clock | None = None,
    ) -> None:
        self._create = create
        self._alive = frozenset(f"{prefix}/healthz" for prefix in prefixes)
        self._ready = frozenset(f"{prefix}/readyz" for prefix in prefixes)
        self._clock = clock or SystemClock()
        self._app: WSGIApplication | None = None
        self._reason = "it has not begun"

    def begin(self) -> None:
        """Make the application; if that is too early, return, and try again in a thread.

        Raises:
            DiceboxError: What no waiting helps against. Later on it ends the process.
        """
        try:
            self._app = self._create()
        except (UnavailableError, StorageFullError) as error:
            _LOG.warning("cannot begin yet: %s", error)
            self._reason = str(error)
            threading.Thread(target=self._go_on, name="opening", daemon=True).start()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer through the application, or in its place."""
        if self._app is not None:
            return self._app(environ, start_response)
        said = self._said(environ.get("PATH_INFO", ""))
        kind = said.headers.get("Content-Type", PROBLEM_TYPE)
        headers = {
            **said.headers,
            "Content-Type": kind,
            "Content-Length": str(len(said.body)),
            "Cache-Control": "no-store",
        }
        start_response(f"{said.status} {HTTPStatus(said.status).phrase}", list(headers.items()))
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else said.body]

    def _said(self, path: str) -> ProblemReply:
        if path in self._alive:
            return _json(200, {"status": "alive"})
        if path in self._ready:
            return _json(503, {"ready": False, "missing": {"start": self._reason}})
        # Anybody may ask: the reason is for those who look after the service.
        error = UnavailableError("the service is starting; its readyz says what it waits for")
        return problem_of(error, None)

    def _go_on(self) -> None:
        try:
            self._app = opened(self._create, lambda: False, self._clock, self._wait)
        except DiceboxError as error:
            _LOG.error("cannot begin: %s", error)
            os._exit(_FAILED)
        except Exception:  # the outermost frame of its thread
            _LOG.exception("cannot begin")
            os._exit(_FAILED)
        _LOG.info("the service has begun")

    def _wait(self, reason: str) -> None:
        self._reason = reason


def _json(status: int, value: object) -> ProblemReply:
    return ProblemReply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
