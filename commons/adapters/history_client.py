"""The client of what the classification service recorded."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

from commons.adapters.caller import CLASSIFICATION, Caller, send_json
from commons.errors import NotFoundError
from commons.history_messages import (
    Correction,
    CorrectionRequest,
    ForgottenImage,
    HistoryOrder,
    HistoryPage,
    RecordedClassification,
)

ResultType = TypeVar("ResultType")
# An answer comes a moment before it is recorded.
_PATIENCE_S = 5.0
_PAUSE_S = 0.1


class HistoryClient:
    """Recorded classifications: list, look, correct, remove.

    What was answered a moment ago is waited for until it is recorded.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(
        self,
        *,
        dataset: str | None = None,
        network: str | None = None,
        category: str | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        since: float | None = None,
        until: float | None = None,
        corrected: bool | None = None,
        order: HistoryOrder = "newest",
        page: int = 500,
    ) -> Iterator[RecordedClassification]:
        """Yield what was recorded, page by page: all of it, or what the filters leave.

        Args:
            dataset: Whose network answered.
            network: Its id or name.
            category: Name of the category that it answered.
            min_confidence: The probability of that category is at least this.
            max_confidence: It is below this.
            since: Not before this time, in unix seconds.
            until: Before this time.
            corrected: Only those that were corrected, or only the others.
            order: `newest`, or what is worth labeling first: `uncertain` by the margin between
                the two most probable categories, `entropy` by that of all.
            page: How many are asked for at once, 1 to 1000.
        """
        which = {
            "dataset": dataset,
            "network": network,
            "category": category,
            "min_confidence": min_confidence,
            "max_confidence": max_confidence,
            "since": since,
            "until": until,
            "corrected": corrected,
            "order": order,
            "limit": page,
        }
        cursor: str | None = None
        while True:
            given = {**which, "cursor": cursor}
            query = {name: value for name, value in given.items() if value is not None}
            reply = self._caller.call("GET", f"{CLASSIFICATION}/classifications", params=query)
            came = HistoryPage.model_validate_json(reply.content)
            yield from came.classifications
            cursor = came.cursor
            if cursor is None:
                return

    def get(self, classification: str) -> RecordedClassification:
        """Return one classification."""
        reply = _once_recorded(lambda: self._caller.call("GET", _path(classification)))
        return RecordedClassification.model_validate_json(reply.content)

    def image(self, classification: str) -> bytes:
        """Return the image of a classification as it was sent."""
        path = f"{_path(classification)}/image"
        return _once_recorded(lambda: self._caller.call("GET", path)).content

    def thumbnail(self, classification: str, size: int = 128) -> bytes:
        """Return a small WebP of the image, its longest side `size` pixels."""
        path = f"{_path(classification)}/thumbnail?size={size}"
        return _once_recorded(lambda: self._caller.call("GET", path)).content

    def correct(self, classification: str, category: str) -> Correction:
        """Say what an image really shows, by the name of a category; safe to repeat."""
        options: dict[str, Any] = send_json(CorrectionRequest(category=category))
        path = f"{_path(classification)}/correction"
        reply = _once_recorded(lambda: self._caller.call("POST", path, **options))
        return Correction.model_validate_json(reply.content)

    def remove(self, classification: str) -> None:
        """Remove a classification for good, and its image if no other needs it."""
        _once_recorded(lambda: self._caller.call("DELETE", _path(classification)))

    def forget_image(self, sha256: str) -> ForgottenImage:
        """Remove every classification of an image for good, and its bytes; safe to repeat."""
        reply = self._caller.call(
            "DELETE", f"{CLASSIFICATION}/classifications", params={"image": sha256}
        )
        return ForgottenImage.model_validate_json(reply.content)


def _path(classification: str) -> str:
    return f"{CLASSIFICATION}/classifications/{quote(classification, safe='')}"


def _once_recorded(call: Callable[[], ResultType]) -> ResultType:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return call()
        except NotFoundError as error:
            if error.kind != "not-recorded-yet" or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_S)
