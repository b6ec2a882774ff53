"""The HTTP face of figures about whole datasets."""

from flask import Response
from flask_openapi3 import APIBlueprint
from pydantic import Field

from commons.adapters.web_app import answer
from commons.label_messages import Balance, ImageGroups
from commons.messages import Message, Sha256
from sensory_service.overview import Overview
from sensory_service.routes import DatasetPath


class GroupsQuery(Message):
    """Which groups; `cursor` is the one of the page before, and a page may be short."""

    cursor: Sha256 | None = None
    limit: int = Field(default=50, ge=1, le=200)
    mixed: bool = False


def overview_routes(prefix: str, overview: Overview) -> APIBlueprint:
    """Return the routes of figures about whole datasets."""
    routes = APIBlueprint("overview", __name__, url_prefix=prefix)

    @routes.get(
        "/datasets/<dataset>/balance",
        summary="How the images are spread over categories, splits and sources of labels",
        responses={200: Balance},
    )
    def balance(path: DatasetPath) -> Response:
        return answer(overview.balance(path.dataset))

    @routes.get(
        "/datasets/<dataset>/groups",
        summary="Images that look alike, page by page; `mixed`: those with different labels",
        responses={200: ImageGroups},
    )
    def groups(path: DatasetPath, query: GroupsQuery) -> Response:
        return answer(overview.groups(path.dataset, query.cursor, query.limit, mixed=query.mixed))

    return routes
