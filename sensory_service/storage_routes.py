"""The HTTP face of erasure and of the check of the storage."""

from flask import Response
from flask_openapi3 import APIBlueprint

from commons.adapters.web_app import answer, needs
from commons.messages import CheckReport, Erasure, Message, SnapshotState
from sensory_service.erasure import Eraser
from sensory_service.inspection import Inspector
from sensory_service.routes import ImagePath, SnapshotPath, who_asks


class CheckPath(Message):
    """The first two digits of the hashes to look at: `00` to `ff`."""

    prefix: str


def storage_routes(prefix: str, eraser: Eraser, inspector: Inspector) -> APIBlueprint:
    """Return the routes of erasure and of the check of the storage."""
    routes = APIBlueprint("storage", __name__, url_prefix=prefix)

    @routes.delete(
        "/images/<sha256>",
        summary="Erase an image for good, with every pack and shard that holds it",
        security=needs("admin"),
        responses={200: Erasure},
    )
    def erase(path: ImagePath) -> Response:
        return answer(eraser.erase(path.sha256, who_asks()))

    @routes.get(
        "/snapshots/<snapshot>/state",
        summary="What became of a snapshot: erased images, packs",
        responses={200: SnapshotState},
    )
    def snapshot_state(path: SnapshotPath) -> Response:
        return answer(inspector.snapshot(path.snapshot))

    @routes.get(
        "/check/<prefix>",
        summary="Whether the storage holds what the tables say, for one 256th of it",
        security=needs("admin"),
        responses={200: CheckReport},
    )
    def check(path: CheckPath) -> Response:
        return answer(inspector.check(path.prefix))

    return routes
