"""The Python client: one address, all services."""

from typing import Self

import httpx

from commons.adapters.services import Caller, EvolutionClient, GalleryClient, SensoryClient

_TIMEOUT_S = 60.0


class Client:
    """Talks to a running Dicebox; use it as a context manager or call `close`.

    Args:
        url: The address that `dicebox up` prints, or that of nginx.
        transport: Instead of the network: an `httpx.WSGITransport` around an app.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=_TIMEOUT_S, transport=transport)
        caller = Caller(self._http)
        self.sensory = SensoryClient(caller)
        self.evolution = EvolutionClient(caller)
        self.gallery = GalleryClient(caller)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
