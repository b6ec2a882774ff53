"""The HTTP face of recorded classifications and of their corrections."""

from collections.abc import Callable

from flask import Response, request
from flask_openapi3 import APIBlueprint
from pydantic import Field

from classification_service.corrections import CorrectionDesk
from classification_service.history import History
from classification_service.history_ports import HistoryFilter
from classification_service.routes import PREFIX
from commons.adapters.web_app import WHO, answer, needs
from commons.history_messages import (
    ClassificationId,
    Correction,
    CorrectionRequest,
    ForgottenImage,
    HistoryOrder,
    HistoryPage,
    RecordedClassification,
)
from commons.messages import DatasetName, Message, Sha256
from commons.network_names import NetworkReference

_FOR_EVER = "private, max-age=31536000, immutable"
_READING = needs("classify", "sensory:read")


class ClassificationPath(Message):
    """A recorded classification by its id."""

    classification: ClassificationId


class HistoryQuery(Message):
    """Which classifications, in which order; `cursor` is the one of the page before.

    `category` is what the network answered. `uncertain` lists the smallest margin between the
    two most probable categories first, `entropy` the largest entropy; with `corrected=false`
    that is what is worth labeling first. Confidence and time (unix seconds) are bounded from
    `min_confidence` and `since` on up to below `max_confidence` and `until`.
    """

    dataset: DatasetName | None = None
    network: NetworkReference | None = None
    category: str | None = Field(default=None, pattern=r"^[^\x00]{1,120}$")
    min_confidence: float | None = Field(default=None, allow_inf_nan=False)
    max_confidence: float | None = Field(default=None, allow_inf_nan=False)
    since: float | None = Field(default=None, allow_inf_nan=False)
    until: float | None = Field(default=None, allow_inf_nan=False)
    corrected: bool | None = None
    order: HistoryOrder = "newest"
    cursor: str | None = Field(default=None, max_length=100)
    limit: int = Field(default=100, ge=1, le=1000)


class ThumbnailQuery(Message):
    """The longest side of the thumbnail in pixels; small pictures are not enlarged."""

    size: int = Field(default=128, ge=16, le=512)


class ImageQuery(Message):
    """An image by its sha256."""

    image: Sha256


def history_routes(
    history: History, corrections: CorrectionDesk, whole_id: Callable[[str], str]
) -> APIBlueprint:
    """Return the routes of what was recorded; `whole_id` knows what networks are called."""
    routes = APIBlueprint("history", __name__, url_prefix=PREFIX)
    _add_reading(routes, history, whole_id)
    _add_removal(routes, history)

    @routes.post(
        "/classifications/<classification>/correction",
        summary="Say what the image really shows",
        description="Durable when it is answered. The image goes with its right label to the "
        "sensory service, once, as soon as that can be reached. 202: it is on its way; 200: the "
        "same was said last already.",
        security=needs("label"),
        responses={200: Correction, 202: Correction},
    )
    def correct(path: ClassificationPath, body: CorrectionRequest) -> Response:
        who = request.environ.get(WHO)
        correction, is_new = corrections.correct(path.classification, body.category, who)
        return answer(correction, 202 if is_new else 200)

    return routes


def _add_reading(routes: APIBlueprint, history: History, whole_id: Callable[[str], str]) -> None:
    @routes.get(
        "/classifications",
        summary="What was classified and recorded, page by page",
        security=_READING,
        responses={200: HistoryPage},
    )
    def list_classifications(query: HistoryQuery) -> Response:
        which = HistoryFilter(
            query.dataset,
            whole_id(query.network) if query.network else None,
            query.category,
            query.min_confidence,
            query.max_confidence,
            query.since,
            query.until,
            query.corrected,
        )
        return answer(history.page(which, query.order, query.cursor, query.limit))

    @routes.get(
        "/classifications/<classification>",
        summary="One classification",
        security=_READING,
        responses={200: RecordedClassification},
    )
    def show(path: ClassificationPath) -> Response:
        return answer(history.get(path.classification))

    @routes.get(
        "/classifications/<classification>/image",
        summary="The bytes of its image as they came",
        security=_READING,
    )
    def image(path: ClassificationPath) -> Response:
        data, media_type, sha256 = history.image(path.classification)
        return _picture(data, media_type, sha256)

    @routes.get(
        "/classifications/<classification>/thumbnail",
        summary="A small WebP of its image",
        security=_READING,
    )
    def thumbnail(path: ClassificationPath, query: ThumbnailQuery) -> Response:
        data, sha256 = history.thumbnail(path.classification, query.size)
        return _picture(data, "image/webp", f"{sha256}-{query.size}")


def _add_removal(routes: APIBlueprint, history: History) -> None:
    @routes.delete(
        "/classifications/<classification>",
        summary="Remove a classification for good",
        description="Its corrections go too, and its image if no other classification needs it. "
        "A label that a correction gave stays with the sensory service.",
        security=needs("sensory:write"),
        responses={204: None},
    )
    def remove(path: ClassificationPath) -> Response:
        history.remove(path.classification)
        return Response(status=204)

    @routes.delete(
        "/classifications",
        summary="Remove every classification of an image, and its bytes, for good",
        description="A part of erasing an image everywhere, as `dicebox purge` does. Safe to "
        "repeat.",
        security=needs("admin"),
        responses={200: ForgottenImage},
    )
    def forget_image(query: ImageQuery) -> Response:
        return answer(history.forget_image(query.image))


def _picture(data: bytes, media_type: str, tag: str) -> Response:
    response = Response(data, content_type=media_type)
    response.headers["Cache-Control"] = _FOR_EVER
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Whatever else these bytes may look like, no browser runs any of it.
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.set_etag(tag)
    response.make_conditional(request)
    return response
