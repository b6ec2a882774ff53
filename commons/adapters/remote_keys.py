"""Keys of services that keep none: the admin API is asked about them."""

import httpx

from commons.adapters.caller import ADMIN
from commons.adapters.key_guard import KeyGuard, KeyPolicy, NoKeys
from commons.auth import KeyInfo, PresentedKey
from commons.errors import UnavailableError


class RemoteKeys:
    """`commons.auth.KeyFinder` that asks the admin API.

    It sends the sha256 of a key, never the key. The answer needs no key of its own: who knows
    the sha256 of 256 random bits has seen the key or the table.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def find(self, presented: PresentedKey) -> KeyInfo | None:
        """Return the key if it is good."""
        reply = self._send("POST", "/introspect", presented.model_dump())
        if reply.status_code == httpx.codes.NOT_FOUND:
            return None
        if not reply.is_success:
            raise UnavailableError(f"the admin API answered {reply.status_code} about a key")
        return KeyInfo.model_validate_json(reply.content)

    def exists(self) -> bool:
        """Say whether a key is needed where the admin API is."""
        return not self._send("GET", "/whoami").is_success

    def _send(self, method: str, path: str, body: object = None) -> httpx.Response:
        try:
            return self._http.request(method, ADMIN + path, json=body)
        except httpx.TransportError as error:
            raise UnavailableError(f"the admin API cannot be reached: {error}") from error


def create_guard(admin_url: str | None, policy: KeyPolicy) -> KeyGuard:
    """Return the guard of a service that does not host the admin API; nothing is asked yet."""
    if admin_url is None:
        return KeyGuard(NoKeys(), required=policy == "required")
    http = httpx.Client(base_url=admin_url, timeout=httpx.Timeout(5.0, connect=2.0))
    return KeyGuard(RemoteKeys(http), required=policy == "required")
