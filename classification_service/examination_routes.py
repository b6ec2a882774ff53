"""The HTTP face of what was found out about networks."""

from flask import Response
from flask_openapi3 import APIBlueprint

from classification_service.examination import Examinations
from classification_service.routes import PREFIX, NetworkPath
from commons.adapters.web_app import answer
from commons.messages import Examination


def examination_routes(examinations: Examinations) -> APIBlueprint:
    """Return the route of examinations."""
    routes = APIBlueprint("examinations", __name__, url_prefix=PREFIX)

    @routes.get(
        "/networks/<network>/examination",
        summary="What a network takes for what, on validation images, and how long it takes",
        description="404 `not-examined` until the job worker has done it.",
        responses={200: Examination},
    )
    def show(path: NetworkPath) -> Response:
        return answer(examinations.of(path.network))

    return routes
