"""The HTTP face of small batches and of the difference between snapshots."""

from typing import Self

from flask import Response, request
from flask_openapi3 import APIBlueprint
from pydantic import Field, model_validator

from commons.adapters.web_app import answer
from commons.messages import (
    Message,
    ResizePolicy,
    SmallBatch,
    SmallBatchRequest,
    SnapshotDiff,
    Split,
)
from sensory_service.differences import SnapshotComparison
from sensory_service.routes import SnapshotPath
from sensory_service.small_batches import MEDIA_TYPE, SmallBatches


class DiffPath(Message):
    """Two snapshots (ids, or starts of them), the earlier one first."""

    before: str
    after: str


class DiffQuery(Message):
    """How many changes of each kind to list; all of them are counted."""

    limit: int = Field(default=1000, ge=0, le=10_000)


class SmallBatchQuery(Message):
    """A small batch by its parameters (see `SmallBatchRequest`); `shape` is written 28x28x1."""

    size: int = Field(default=32, ge=1, le=4096)
    split: Split = "train"
    shape: str | None = Field(default=None, pattern=r"^[1-9][0-9]{0,3}x[1-9][0-9]{0,3}x[13]$")
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    resize: ResizePolicy = "fit"
    noise: float = Field(default=0.0, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _checked(self) -> Self:
        self.request()  # a side may still be too long
        return self

    def request(self) -> SmallBatchRequest:
        """Return what is asked for."""
        sides = self.shape and [int(side) for side in self.shape.split("x")]
        return SmallBatchRequest.model_validate(self.model_dump() | {"shape": sides})


def batch_routes(
    prefix: str, comparison: SnapshotComparison, batches: SmallBatches
) -> APIBlueprint:
    """Return the routes of small batches and differences."""
    routes = APIBlueprint("batches", __name__, url_prefix=prefix)

    @routes.get(
        "/snapshots/<before>/diff/<after>",
        summary="What changed from one snapshot to another",
        responses={200: SnapshotDiff},
    )
    def diff(path: DiffPath, query: DiffQuery) -> Response:
        return answer(comparison.diff(path.before, path.after, query.limit))

    @routes.get(
        "/snapshots/<snapshot>/batch",
        summary="Some decoded images in one call: .npz without pickle, or JSON by Accept",
        responses={200: SmallBatch},
    )
    def batch(path: SnapshotPath, query: SmallBatchQuery) -> Response:
        drawn = batches.draw(path.snapshot, query.request())
        if request.accept_mimetypes.best_match([MEDIA_TYPE, "application/json"]) != MEDIA_TYPE:
            return answer(drawn.as_message())
        return Response(drawn.packed(), content_type=MEDIA_TYPE)

    return routes
