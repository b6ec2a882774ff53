"""The HTTP face of categories, history, removal and thumbnails."""

from flask import Response
from flask_openapi3 import APIBlueprint
from pydantic import Field

from commons.adapters.web_app import answer, needs
from commons.label_messages import LabelsReply, LabelsRequest
from commons.messages import (
    Category,
    CategoryRequest,
    ImageHistory,
    MergeRequest,
    Message,
)
from sensory_service.labels import LabelDesk
from sensory_service.routes import DatasetImagePath, DatasetPath, ImagePath, as_picture, who_asks
from sensory_service.thumbnails import THUMBNAIL_TYPE, Thumbnails


class CategoryPath(Message):
    """A category of a dataset, by id."""

    dataset: str
    category: str


class ThumbnailQuery(Message):
    """The longest side of the thumbnail in pixels; small pictures are not enlarged."""

    size: int = Field(default=128, ge=16, le=512)


def label_routes(prefix: str, labels: LabelDesk, thumbnails: Thumbnails) -> APIBlueprint:
    """Return the routes of categories, history, removal and thumbnails."""
    routes = APIBlueprint("labels", __name__, url_prefix=prefix)

    @routes.post(
        "/datasets/<dataset>/categories",
        summary="Add a category; one of this name is returned as it is",
        security=needs("label", "sensory:write"),
        responses={200: Category, 201: Category},
    )
    def add_category(path: DatasetPath, body: CategoryRequest) -> Response:
        category, created = labels.add_category(path.dataset, body.name)
        return answer(category, 201 if created else 200)

    @routes.put(
        "/datasets/<dataset>/categories/<category>/name",
        summary="Rename a category",
        security=needs("label", "sensory:write"),
        responses={200: Category},
    )
    def rename_category(path: CategoryPath, body: CategoryRequest) -> Response:
        return answer(labels.rename_category(path.dataset, path.category, body.name))

    @routes.post(
        "/datasets/<dataset>/categories/<category>/merge",
        summary="Give all images of a category to another, which is returned",
        security=needs("label", "sensory:write"),
        responses={200: Category},
    )
    def merge_categories(path: CategoryPath, body: MergeRequest) -> Response:
        return answer(labels.merge_categories(path.dataset, path.category, body.into, who_asks()))

    @routes.post(
        "/datasets/<dataset>/labels",
        summary="Label many images at once, all durable when it is answered",
        security=needs("label", "sensory:write"),
        responses={200: LabelsReply},
    )
    def label_many(path: DatasetPath, body: LabelsRequest) -> Response:
        return answer(labels.label_many(path.dataset, body, who_asks()))

    @routes.get(
        "/datasets/<dataset>/images/<sha256>/history",
        summary="All that happened to an image in a dataset",
        responses={200: ImageHistory},
    )
    def history(path: DatasetImagePath) -> Response:
        return answer(labels.history(path.dataset, path.sha256))

    @routes.delete(
        "/datasets/<dataset>/images/<sha256>",
        summary="Take an image out of a dataset; its history and snapshots stay",
        responses={204: None},
    )
    def remove(path: DatasetImagePath) -> Response:
        labels.remove(path.dataset, path.sha256, who_asks())
        return Response(status=204)

    @routes.get("/images/<sha256>/thumbnail", summary="A small WebP of an image")
    def thumbnail(path: ImagePath, query: ThumbnailQuery) -> Response:
        data = thumbnails.get(path.sha256, query.size)
        return as_picture(data, THUMBNAIL_TYPE, f"{path.sha256}-{query.size}")

    return routes
