"""From a request to what is asked: the same words and the same refusals at every door."""

import math
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from pydantic import Field

from commons.errors import InvalidInputError, UnsupportedMediaError
from commons.messages import Message

TIMEOUT_HEADER = "X-Request-Timeout-Ms"
FORM = "multipart/form-data"
# The second is what curl says of `--data-binary` unless it is told better.
_PLAIN = frozenset({"", "application/octet-stream", "application/x-www-form-urlencoded"})
_LONGEST_TIMEOUT_MS = 1e9
_REMEMBERED = 1024


class ClassifyQuery(Message):
    """Who is asked, and how many categories come back."""

    dataset: str | None = Field(None, description="May be left out if one champion exists")
    network: str | None = Field(
        None,
        description="Ask this network (its id, eight digits or more that begin it alone, or its "
        "name)",
    )
    top: int = Field(3, ge=1, le=1000)
    record: bool = Field(True, description="Whether the answer may stand in the history")


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: the `top` most probable categories, by a champion or a named network."""

    dataset: str | None = None
    network: str | None = None
    top: int = 3
    record: bool = True

    @classmethod
    def of(cls, query: ClassifyQuery) -> "Ask":
        """Return the question of a query."""
        return cls(query.dataset, query.network, query.top, query.record)


@lru_cache(_REMEMBERED)
def ask_of(query: str) -> Ask:
    """Return the question of an address's query, such as `dataset=digits&top=1`.

    Raises:
        pydantic.ValidationError: A parameter is unknown or not what it must be.
    """
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        given.setdefault(name, value)
    return Ask.of(ClassifyQuery.model_validate(given))


def deadline(timeout_ms: str | None, now: float) -> float:
    """Return until when an answer is of use, on the clock that says `now`; without a limit: inf.

    Raises:
        InvalidInputError: The header is no number of milliseconds above zero.
    """
    if timeout_ms is None:
        return math.inf
    try:
        milliseconds = float(timeout_ms)
    except ValueError:
        milliseconds = math.nan
    if not 0.0 < milliseconds <= _LONGEST_TIMEOUT_MS:
        raise InvalidInputError(
            f"expected {TIMEOUT_HEADER} to be milliseconds above 0, got {timeout_ms[:40]!r}"
        )
    return now + milliseconds / 1000.0


def is_form(content_type: str) -> bool:
    """Say whether a body is a form with files in it, and not one image as it is.

    Raises:
        UnsupportedMediaError: It says that it is neither.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _PLAIN or kind.startswith("image/"):
        return False
    if kind == FORM:
        return True
    raise UnsupportedMediaError(
        f"expected an image (image/..., application/octet-stream) or {FORM}, got {kind[:100]!r}"
    )
