"""The HTTP face of what networks say about images."""

from flask import Response
from flask_openapi3 import APIBlueprint
from pydantic import Field

from commons.adapters.web_app import answer
from commons.label_messages import NetworkName, OpinionsReply, OpinionsRequest, WantedImages
from commons.messages import Message
from sensory_service.opinions import OpinionDesk
from sensory_service.routes import DatasetPath


class WantedQuery(Message):
    """Whose opinions are missing, and how many images to name."""

    network: NetworkName
    limit: int = Field(default=500, ge=1, le=1000)


def opinion_routes(prefix: str, opinions: OpinionDesk) -> APIBlueprint:
    """Return the routes of opinions."""
    routes = APIBlueprint("opinions", __name__, url_prefix=prefix)

    @routes.put(
        "/datasets/<dataset>/opinions",
        summary="Say what a network takes images for; the latest opinion of an image stays",
        responses={200: OpinionsReply},
    )
    def keep(path: DatasetPath, body: OpinionsRequest) -> Response:
        return answer(opinions.keep(path.dataset, body))

    @routes.get(
        "/datasets/<dataset>/opinions/wanted",
        summary="Images that a network said nothing about, the unlabeled ones first",
        responses={200: WantedImages},
    )
    def wanted(path: DatasetPath, query: WantedQuery) -> Response:
        return answer(opinions.wanted(path.dataset, query.network, query.limit))

    return routes
