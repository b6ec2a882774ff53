"""The HTTP face of names of networks."""

from flask import Response
from flask_openapi3 import APIBlueprint

from classification_service.naming import Naming
from classification_service.ports import RegisteredNetwork
from classification_service.routes import PREFIX, NetworkPath
from commons.adapters.web_app import answer
from commons.messages import NamedNetwork, NameRequest


def name_routes(naming: Naming) -> APIBlueprint:
    """Return the routes by which a network gets a name and loses it."""
    routes = APIBlueprint("names", __name__, url_prefix=PREFIX)

    @routes.put(
        "/networks/<network>/name",
        summary="Give a network a name, instead of the one it has",
        description="From then on the name stands wherever an id may. 409 `name-taken` if another "
        "network has it, unless `move` says to take it from there. Other processes of the service "
        "follow as they follow promotions.",
        responses={200: NamedNetwork},
    )
    def give(path: NetworkPath, body: NameRequest) -> Response:
        return answer(_named(naming.give(path.network, body.name, move=body.move)))

    @routes.delete(
        "/networks/<network>/name",
        summary="Take a network's name away",
        responses={200: NamedNetwork},
    )
    def take(path: NetworkPath) -> Response:
        return answer(_named(naming.take(path.network)))

    return routes


def _named(found: RegisteredNetwork) -> NamedNetwork:
    return NamedNetwork(network=found.network, name=found.name)
