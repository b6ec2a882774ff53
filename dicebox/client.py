"""The Python client: one address, all services."""

from typing import Self

import httpx

from commons.adapters.history_client import HistoryClient
from commons.adapters.job_client import JobClient
from commons.adapters.services import (
    AdminClient,
    Caller,
    EvolutionClient,
    GalleryClient,
    SensoryClient,
)
from commons.auth import authorization
from commons.errors import UnavailableError

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_ALIVE = {"status": "alive"}
_BEHIND_A_PROXY = frozenset({502, 503, 504})


class Client:
    """Talks to a running Dicebox; use it as a context manager or call `close`.

    Args:
        url: The address that `dicebox up` prints, or that of nginx.
        key: An API key, where one is needed.
        transport: Instead of the network: an `httpx.WSGITransport` around an app.
    """

    def __init__(
        self, url: str, *, key: str | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self._http = httpx.Client(
            base_url=self.url, timeout=_TIMEOUT, transport=transport, headers=authorization(key)
        )
        caller = Caller(self._http)
        self.sensory = SensoryClient(caller)
        self.evolution = EvolutionClient(caller)
        self.gallery = GalleryClient(caller)
        self.history = HistoryClient(caller)
        self.jobs = JobClient(caller)
        self.admin = AdminClient(caller)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def check(self) -> None:
        """Make sure that a Dicebox is there, by a single try: a wrong address is told at once.

        Raises:
            UnavailableError: Nothing answers there, or something else does.
        """
        try:
            reply = self._http.get("/api/sensory/v1/healthz")
        except httpx.TransportError as error:
            raise UnavailableError(
                f"nothing answers at {self.url} ({error}): does `dicebox up` run there?"
            ) from error
        # A service behind nginx that starts again is worth the patience of the calls to come.
        if reply.status_code not in _BEHIND_A_PROXY and not _is_alive(reply):
            raise UnavailableError(
                f"what answers at {self.url} is no Dicebox: "
                f"it says {reply.status_code} to {reply.request.url.path}"
            )


def _is_alive(reply: httpx.Response) -> bool:
    try:
        return bool(reply.json() == _ALIVE)
    except ValueError:
        return False
