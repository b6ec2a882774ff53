"""The HTTP face: parse, one call, answer."""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

from flask import Response
from flask_openapi3 import APIBlueprint, RawModel
from pydantic import BaseModel, Field

from classification_service.classify import Classifier
from classification_service.loading import FileKind
from classification_service.networks import Networks
from classification_service.ports import RegisteredNetwork
from commons.adapters.web_app import answer, needs
from commons.messages import Champion, Classification, DatasetName, Message, PromoteRequest
from commons.network_card import NetworkCard

PREFIX = "/api/classification/v1"
Count = Callable[[str, str], None]


class ImageBytes(RawModel):
    """A picture as it is, no form around it."""

    mimetypes: ClassVar[list[str]] = [  # type: ignore[misc]
        "application/octet-stream",
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "image/bmp",
    ]


class ClassifyQuery(Message):
    """Who is asked, and how many categories come back."""

    dataset: str | None = Field(None, description="May be left out if one champion exists")
    network: str | None = Field(None, description="Ask this network instead of the champion")
    top: int = Field(3, ge=1, le=1000)

    @classmethod
    @cache
    def model_json_schema(cls, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return the schema, made once: flask-openapi3 asks for it at every request."""
        return super().model_json_schema(**options)


class NetworksQuery(Message):
    """Which networks are listed."""

    dataset: str | None = None


class NetworkPath(BaseModel):
    """A network by its id."""

    network: str


class FilePath(NetworkPath):
    """A file of a network."""

    kind: FileKind


class DatasetPath(BaseModel):
    """A dataset by its name."""

    dataset: DatasetName


class Registration(Message):
    """The id of a registered network."""

    network: str


class GalleryEntry(Message):
    """A network of the gallery, and whether it answers for its dataset."""

    network: str
    champion: bool
    registered: float
    card: NetworkCard


class GalleryPage(Message):
    """The gallery, newest first."""

    networks: list[GalleryEntry]


class Champions(Message):
    """The champion of every dataset that has one."""

    champions: list[Champion]


def create_blueprint(networks: Networks, classifier: Classifier, count: Count) -> APIBlueprint:
    """Return the routes over the two use cases; `count` gets an event and a word about it."""
    routes = APIBlueprint("classification", __name__, url_prefix=PREFIX)
    _add_classify(routes, classifier, count)
    _add_networks(routes, networks)
    _add_champions(routes, networks)
    return routes


def _add_classify(routes: APIBlueprint, classifier: Classifier, count: Count) -> None:
    @routes.post(
        "/classify",
        summary="What an image shows",
        security=needs("classify"),
        responses={200: Classification},
    )
    def classify(query: ClassifyQuery, raw: ImageBytes) -> Response:
        data = raw.get_data(cache=False)
        said = classifier.classify(data, query.dataset, query.network, query.top)
        count("classification", said.network)
        return answer(said)


def _add_networks(routes: APIBlueprint, networks: Networks) -> None:
    @routes.post(
        "/networks",
        summary="Register a network whose files are in the blobs",
        responses={200: Registration, 201: Registration},
    )
    def register(body: NetworkCard) -> Response:
        network, is_new = networks.register(body)
        return answer(Registration(network=network), 201 if is_new else 200)

    @routes.get("/networks", summary="The gallery, newest first", responses={200: GalleryPage})
    def list_networks(query: NetworksQuery) -> Response:
        champions = {champion.network for champion in networks.champions()}
        entries = [_entry(found, champions) for found in networks.networks(query.dataset)]
        return answer(GalleryPage(networks=entries))

    @routes.get("/networks/<network>", summary="One network", responses={200: GalleryEntry})
    def show_network(path: NetworkPath) -> Response:
        champions = {champion.network for champion in networks.champions()}
        return answer(_entry(networks.network(path.network), champions))

    @routes.get("/networks/<network>/<kind>", summary="Download a file of a network")
    def download(path: FilePath) -> Response:
        name = f"{path.network[:12]}.{path.kind}"
        return attachment(networks.file(path.network, path.kind), name)


def _add_champions(routes: APIBlueprint, networks: Networks) -> None:
    @routes.get("/champions", summary="Who answers", responses={200: Champions})
    def list_champions() -> Response:
        return answer(Champions(champions=networks.champions()))

    @routes.get(
        "/champions/<dataset>", summary="Who answers for a dataset", responses={200: Champion}
    )
    def show_champion(path: DatasetPath) -> Response:
        return answer(networks.champion(path.dataset))

    @routes.put("/champions/<dataset>", summary="Promote a network", responses={200: Champion})
    def promote(path: DatasetPath, body: PromoteRequest) -> Response:
        return answer(networks.promote(path.dataset, body.network))


def _entry(found: RegisteredNetwork, champions: set[str | None]) -> GalleryEntry:
    return GalleryEntry(
        network=found.network,
        champion=found.network in champions,
        registered=found.registered,
        card=found.card,
    )


def attachment(data: bytes, name: str) -> Response:
    """Return bytes to be saved under a name; the address names these bytes for ever."""
    response = Response(data, mimetype="application/octet-stream")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return response
