"""Sends requests to the services and turns their problems back into errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

    What is safe to repeat is repeated for `patience_s` seconds while a service is unavailable;
    `tell` gets the error each time before it is.
    """

    def __init__(
        self,
        http: httpx.Client,
        patience_s: float = 20.0,
        tell: Callable[[UnavailableError], None] = lambda _: None,
    ) -> None:
        self._http = http
        self._patience_s = patience_s
        self._tell = tell

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the response of a request that succeeded.

        Raises:
            DiceboxError: What the service answered, or `UnavailableError` if it cannot be reached.
        """
        for attempt in stamina.retry_context(
            on=self._is_worth_repeating,
            timeout=self._patience_s,
            attempts=None,
            wait_initial=0.1,
        ):
            with attempt:
                return self.call_once(method, path, **options)
        raise AssertionError("the loop above returns or raises")

    def _is_worth_repeating(self, error: Exception) -> bool:
        if not isinstance(error, UnavailableError):
            return False
        self._tell(error)
        return True

    def call_once(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Do the same with a single try, for what must not be repeated blindly."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise UnavailableError(f"{self._http.base_url} cannot be reached: {error}") from error
        if response.is_success:
            return response
        raise _error_of(response)

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """Give a response whose body is still to come, by a single try.

        Raises:
            DiceboxError: What the service answered, or `UnavailableError` if it cannot be
                reached or the body is cut off.
        """
        try:
            with self._http.stream(method, path, **options) as response:
                if not response.is_success:
                    response.read()
                    raise _error_of(response)
                yield response
        except httpx.TransportError as error:
            raise UnavailableError(f"{self._http.base_url} was cut off: {error}") from error


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
