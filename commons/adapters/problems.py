"""Errors as RFC 9457 answers: the one place, for Flask's views and for bare callables alike."""

import errno
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from commons.errors import (
    HTTP_STATUS,
    DiceboxError,
    ForbiddenError,
    StorageFullError,
    UnauthorizedError,
    UnavailableError,
)

PROBLEM_TYPE = "application/problem+json"
_LOG = logging.getLogger(__name__)


class Problem(BaseModel):
    """RFC 9457: `type` is the word for programs, `detail` the sentence for people.

    `request_id` is what the service's log calls this request.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None


@dataclass(frozen=True)
class ProblemReply:
    """An answer that says what is wrong; its body is `PROBLEM_TYPE`."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def problem_reply(
    status: int,
    kind: str,
    title: str,
    detail: str,
    request_id: str | None,
    headers: Mapping[str, str] | None = None,
) -> ProblemReply:
    """Return an answer in the words given."""
    body = Problem(
        type=kind, title=title, status=status, detail=detail, request_id=request_id or None
    )
    return ProblemReply(status, body.model_dump_json(exclude_none=True).encode(), headers or {})


def problem_of(error: Exception, request_id: str | None) -> ProblemReply:
    """Return the answer to a request that ended in an error; a surprising one is logged."""
    if isinstance(error, DiceboxError):
        return _of_own_error(error, request_id)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _of_own_error(StorageFullError("no space is left for this request"), request_id)
    _LOG.error("a request failed", exc_info=error)
    return problem_reply(
        500,
        "internal-error",
        "Internal Server Error",
        "The service's log says more.",
        request_id,
    )


def problem_of_request(error: ValidationError, request_id: str | None) -> ProblemReply:
    """Return the answer to a request whose query, path or body is not what the route takes."""
    faults = [_fault(fault) for fault in json.loads(error.json(include_url=False))]
    return problem_reply(400, "invalid-input", "invalid input", "; ".join(faults), request_id)


def _of_own_error(error: DiceboxError, request_id: str | None) -> ProblemReply:
    status = next((status for kind, status in HTTP_STATUS if isinstance(error, kind)), 500)
    return problem_reply(
        status, error.kind, error.kind.replace("-", " "), str(error), request_id, _headers(error)
    )


def _headers(error: DiceboxError) -> dict[str, str]:
    if isinstance(error, UnavailableError):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
    if isinstance(error, UnauthorizedError):
        wrong = ', error="invalid_token"' if error.kind == "invalid-key" else ""
        return {"WWW-Authenticate": f'Bearer realm="dicebox"{wrong}'}
    if isinstance(error, ForbiddenError) and error.scope is not None:
        return {
            "WWW-Authenticate": (
                f'Bearer realm="dicebox", error="insufficient_scope", scope="{error.scope}"'
            )
        }
    return {}


def _fault(fault: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if not where:
        # Several fields together are wrong; the sentence says which.
        return str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {fault['msg']}, got {str(fault.get('input'))[:100]!r}"
