"""The HTTP face of the queue of what to label next."""

from flask import Response
from flask_openapi3 import APIBlueprint

from commons.adapters.web_app import answer, needs
from commons.label_messages import LabelQueue, QueueRequest, ReleaseRequest, SkipRequest
from sensory_service.label_queue import QueueDesk
from sensory_service.routes import DatasetPath


def queue_routes(prefix: str, queue: QueueDesk) -> APIBlueprint:
    """Return the routes of the queue."""
    routes = APIBlueprint("queue", __name__, url_prefix=prefix)

    @routes.post(
        "/datasets/<dataset>/queue",
        summary="Take images to label next; two clients never get the same at once",
        security=needs("label", "sensory:write"),
        responses={200: LabelQueue},
    )
    def take(path: DatasetPath, body: QueueRequest) -> Response:
        return answer(queue.take(path.dataset, body))

    @routes.post(
        "/datasets/<dataset>/queue/skip",
        summary="Do not give these images to this client for some time",
        security=needs("label", "sensory:write"),
        responses={204: None},
    )
    def skip(path: DatasetPath, body: SkipRequest) -> Response:
        queue.skip(path.dataset, body)
        return Response(status=204)

    @routes.post(
        "/datasets/<dataset>/queue/release",
        summary="Let go of what is held for a client",
        security=needs("label", "sensory:write"),
        responses={204: None},
    )
    def release(path: DatasetPath, body: ReleaseRequest) -> Response:
        queue.release(path.dataset, body)
        return Response(status=204)

    return routes
