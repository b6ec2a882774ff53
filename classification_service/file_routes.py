"""The HTTP face of the files of networks."""

from typing import ClassVar

from flask import Response, request
from flask_openapi3 import APIBlueprint, RawModel
from pydantic import BaseModel, Field

from classification_service.network_files import NetworkFiles
from classification_service.routes import PREFIX, attachment
from commons.adapters.web_app import answer, needs
from commons.errors import TooLargeError
from commons.messages import Message
from commons.network_card import NETWORK_FILE_NAME


class NetworkFilePath(BaseModel):
    """A file by its hash and its kind: `.npz` (weights), `.keras` or `.onnx`."""

    name: str = Field(pattern=NETWORK_FILE_NAME)


class NetworkFileBody(RawModel):
    """The bytes of the file as they are."""

    mimetypes: ClassVar[list[str]] = ["application/octet-stream"]  # type: ignore[misc]


class StoredFile(Message):
    """A file that is here for good, and whether it was before."""

    name: str
    duplicate: bool


def file_routes(files: NetworkFiles, most_bytes: int) -> APIBlueprint:
    """Return the routes by which the files of a network come before its card.

    A card whose files are missing is answered with 409 `missing-files`; whoever registers it
    asks for each by HEAD, sends what is not here by PUT, and registers again.
    """
    routes = APIBlueprint("network_files", __name__, url_prefix=PREFIX)

    @routes.put(
        "/network-files/<name>",
        summary="Send a file of a network; its bytes must have the hash in its name",
        description="201 when it is new, 200 when it was here. Durable when it is answered; "
        "bytes with another hash are refused (`wrong-hash`) and change nothing.",
        security=needs("publish"),
        responses={200: StoredFile, 201: StoredFile},
    )
    def put_file(path: NetworkFilePath, raw: NetworkFileBody) -> Response:
        # This route has a limit of its own, which streams are held to as well.
        request.max_content_length = None
        if (request.content_length or 0) > most_bytes:
            raise TooLargeError(
                f"expected at most {most_bytes:,} bytes, got {request.content_length:,}"
            )
        is_new = files.add(path.name, request.stream)
        return answer(StoredFile(name=path.name, duplicate=not is_new), 201 if is_new else 200)

    @routes.get(
        "/network-files/<name>",
        summary="Download a file of a network by its hash; HEAD says whether it is here",
    )
    def get_file(path: NetworkFilePath) -> Response:
        if request.method == "HEAD" and files.has(path.name):
            return Response(status=200, mimetype="application/octet-stream")
        return attachment(files.get(path.name), path.name)

    return routes
