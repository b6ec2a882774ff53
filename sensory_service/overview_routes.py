"""The HTTP face of figures about whole datasets."""

from flask import Response
from flask_openapi3 import APIBlueprint

from commons.adapters.web_app import answer
from commons.label_messages import Balance
from sensory_service.overview import Overview
from sensory_service.routes import DatasetPath


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

    return routes
