"""The HTTP face: parse, one call, answer."""

from collections.abc import Iterator
from typing import ClassVar

from flask import Response, request
from flask_openapi3 import APIBlueprint, RawModel
from pydantic import BaseModel, RootModel

from classification_service.asking import (
    FORM,
    TIMEOUT_HEADER,
    Ask,
    ClassifyQuery,
    deadline,
    is_form,
)
from classification_service.classify import Answerer
from classification_service.loading import FileKind
from classification_service.networks import Networks
from classification_service.ports import RegisteredNetwork
from commons.adapters.web_app import answer, needs
from commons.errors import InvalidInputError
from commons.messages import (
    Champion,
    Classification,
    ClassifyReply,
    DatasetName,
    Message,
    PromoteRequest,
)
from commons.network_card import NetworkCard
from commons.network_names import is_name
from commons.ports import Clock

PREFIX = "/api/classification/v1"


class ImageBytes(RawModel):
    """A picture as it is, no form around it; or a form with many in the field `files`."""

    mimetypes: ClassVar[list[str]] = [  # type: ignore[misc]
        "application/octet-stream",
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "image/bmp",
        FORM,
    ]


class ClassifyAnswer(RootModel[Classification | ClassifyReply]):
    """What a network says of the image of a raw body, or of the files of a form."""


class NetworksQuery(Message):
    """Which networks are listed."""

    dataset: str | None = None


class NetworkPath(BaseModel):
    """A network by its id, 8 or more of its first digits, or its name."""

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
    """A network of the gallery, its name if it has one, and whether it answers for its dataset."""

    network: str
    name: str | None = None
    champion: bool
    registered: float
    card: NetworkCard


class GalleryPage(Message):
    """The gallery, newest first."""

    networks: list[GalleryEntry]


class Champions(Message):
    """The champion of every dataset that has one."""

    champions: list[Champion]


def create_blueprint(networks: Networks, answerer: Answerer, clock: Clock) -> APIBlueprint:
    """Return the routes over the two use cases."""
    routes = APIBlueprint("classification", __name__, url_prefix=PREFIX)
    _add_classify(routes, answerer, clock)
    _add_networks(routes, networks)
    _add_champions(routes, networks)
    return routes


def _add_classify(routes: APIBlueprint, answerer: Answerer, clock: Clock) -> None:
    @routes.post(
        "/classify",
        summary="What an image shows (raw body), or many (form field `files`)",
        description=f"Whoever needs the answer soon says so in `{TIMEOUT_HEADER}`: what cannot be "
        "answered in so many milliseconds is not begun, and answered with 504. Too many at once "
        "are refused with 503 and `Retry-After`.",
        security=needs("classify"),
        responses={200: ClassifyAnswer},
    )
    def classify(query: ClassifyQuery, raw: ImageBytes) -> Response:
        has_files = is_form(request.content_type or "")
        until = deadline(request.headers.get(TIMEOUT_HEADER), clock.monotonic())
        if has_files:
            return answer(answerer.classify_files(Ask.of(query), _files(), until))
        said = answerer.classify(Ask.of(query), raw.get_data(cache=False), until)
        return Response(said, mimetype="application/json")


def _files() -> Iterator[tuple[str, bytes]]:
    files = request.files.getlist("files")
    if not files:
        raise InvalidInputError("expected files in the form's field `files`, got none")
    return ((file.filename or "", file.read()) for file in files)


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
        data = networks.file(path.network, path.kind)
        # A name may be another network's tomorrow.
        if is_name(path.network):
            return attachment(data, f"{path.network}.{path.kind}", is_fixed=False)
        return attachment(data, f"{path.network[:12]}.{path.kind}")


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
        name=found.name,
        champion=found.network in champions,
        registered=found.registered,
        card=found.card,
    )


def attachment(data: bytes, name: str, *, is_fixed: bool = True) -> Response:
    """Return bytes to be saved under a name.

    Args:
        data: The bytes.
        name: Of the file.
        is_fixed: Whether the address names these bytes for ever.
    """
    response = Response(data, mimetype="application/octet-stream")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    how = "max-age=31536000, immutable" if is_fixed else "no-cache"
    response.headers["Cache-Control"] = f"private, {how}"
    return response
