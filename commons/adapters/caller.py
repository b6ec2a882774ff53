"""Sends requests to the services and turns their problems back into errors."""

from types import MappingProxyType
from typing import Any

import httpx
import stamina
from pydantic import BaseModel

from commons.errors import HTTP_STATUS, DiceboxError, UnavailableError

SENSORY = "/api/sensory/v1"
EVOLUTION = "/api/evolution/v1"
CLASSIFICATION = "/api/classification/v1"
ADMIN = "/api/admin/v1"

_ERRORS = MappingProxyType({status: kind for kind, status in HTTP_STATUS})


class Caller:
    """Sends requests and turns problem+json back into the errors it was made from.

    What is safe to repeat is repeated for `patience_s` seconds while a service is unavailable.
    """

    def __init__(self, http: httpx.Client, patience_s: float = 20.0) -> None:
        self._http = http
        self._patience_s = patience_s

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the response of a request that succeeded.

        Raises:
            DiceboxError: What the service answered, or `UnavailableError` if it cannot be reached.
        """
        for attempt in stamina.retry_context(
            on=UnavailableError, timeout=self._patience_s, attempts=None, wait_initial=0.1
        ):
            with attempt:
                return self.call_once(method, path, **options)
        raise AssertionError("the loop above returns or raises")

    def call_once(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Do the same with a single try, for what must not be repeated blindly."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise UnavailableError(f"{self._http.base_url} cannot be reached: {error}") from error
        if response.is_success:
            return response
        raise _error_of(response)


def _error_of(response: httpx.Response) -> DiceboxError:
    try:
        problem = response.json()
        kind, detail = str(problem["type"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        kind, detail = "error", f"{response.status_code} from {response.url}"
    return _ERRORS.get(response.status_code, DiceboxError)(detail, kind=kind)


def send_json(message: BaseModel) -> dict[str, Any]:
    """Return the options of a request that sends a message."""
    return {
        "content": message.model_dump_json(exclude_none=True),
        "headers": {"Content-Type": "application/json"},
    }
