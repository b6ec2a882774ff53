"""The Open Inference Protocol v2 over HTTP, for clients of KServe, Triton and MLServer.

A model is a dataset, whose champion answers, or a network by its id or its name; a version is a
network. Where a dataset with a champion and a network are called the same, the dataset is meant.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version as version_of
from typing import Any, ClassVar, Literal

import numpy as np
from flask import Response, request
from flask_openapi3 import APIBlueprint, RawModel
from pydantic import BaseModel

from classification_service.asking import TIMEOUT_HEADER, deadline
from classification_service.classify import Answerer
from classification_service.gallery import Choice
from classification_service.v2_messages import InferAnswer
from classification_service.v2_tensors import (
    CATEGORY,
    IMAGES,
    LENGTH_HEADER,
    MAX_PICTURES,
    PROBABILITIES,
    Floats,
    read_request,
    with_error,
    write_answer,
)
from commons.adapters.decode import decode_stored
from commons.adapters.web_app import PUBLIC, answer, needs
from commons.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
    UnsupportedMediaError,
)
from commons.network_names import is_id
from commons.ports import Clock

V2 = "/v2"
_PLATFORM = "onnxruntime_onnx"
_PROBLEM = "application/problem+json"
# So many pictures are in memory at once, decoded.
_TOGETHER = 32
_INFER = f"""What the champion of a dataset says, or a network by its id or its name.

One input, `{IMAGES}`: pixels 0…255 as `FP32` or `UINT8` `[n, height, width, channels]` in the
size of the network, or pictures as they are in files, of any size, as `BYTES` `[n]` (at most
{MAX_PICTURES:,}; base64 in JSON). Two outputs: `{PROBABILITIES}`, `FP32` `[n, categories]`, and
`{CATEGORY}`, `BYTES` `[n]`.

    {{"inputs": [{{"name": "{IMAGES}", "datatype": "BYTES", "shape": [1], "data": ["iVBO..."]}}]}}

With the header `{LENGTH_HEADER}` that many bytes are the JSON and the rest is the tensor, whose
`parameters` have its `binary_data_size`; outputs come back like that where `binary_data` or
`binary_data_output` asks for it. The parameter `timeout` is in microseconds."""


class ModelPath(BaseModel):
    """A dataset, or a network by its id or its name."""

    model: str


class VersionPath(ModelPath):
    """A network by its id or its name."""

    version: str


class InferBody(RawModel):
    """JSON, and tensors behind it."""

    mimetypes: ClassVar[list[str]] = [  # type: ignore[misc]
        "application/json",
        "application/octet-stream",
    ]


class Server(BaseModel):
    """What serves, and which extensions it knows."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """The process lives."""

    live: Literal[True]


class Ready(BaseModel):
    """It can do its work."""

    ready: Literal[True]


class ModelReady(Ready):
    """A model is in memory and answers."""

    name: str


class TensorKind(BaseModel):
    """A tensor of a model; -1 is any number."""

    name: str
    datatype: str
    shape: list[int]


class Model(BaseModel):
    """A model: `versions` are the networks that answer now."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorKind]
    outputs: list[TensorKind]


def v2_routes(
    answerer: Answerer, clock: Clock, missing: Callable[[], Mapping[str, str]]
) -> APIBlueprint:
    """Return the routes of the protocol.

    Args:
        answerer: Who is asked.
        clock: Its seconds are those of deadlines.
        missing: Returns what keeps the service from being ready, name to reason.
    """
    routes = APIBlueprint("v2", __name__, url_prefix=V2)
    _add_health(routes, missing)
    _add_models(routes, answerer)
    _add_infer(routes, answerer, clock)
    routes.after_app_request(_say_error)
    return routes


def _add_health(routes: APIBlueprint, missing: Callable[[], Mapping[str, str]]) -> None:
    @routes.get("", summary="Who serves", security=PUBLIC, responses={200: Server})
    def server() -> Response:
        own = version_of("dicebox")
        return answer(Server(name="dicebox", version=own, extensions=["binary_tensor_data"]))

    @routes.get("/health/live", summary="The process lives", security=PUBLIC, responses={200: Live})
    def live() -> Response:
        return answer(Live(live=True))

    @routes.get(
        "/health/ready", summary="It can do its work", security=PUBLIC, responses={200: Ready}
    )
    def ready() -> Response:
        lacking = dict(missing())
        if lacking:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in lacking.items())
            raise UnavailableError(reasons, kind="not-ready")
        return answer(Ready(ready=True))


def _add_models(routes: APIBlueprint, answerer: Answerer) -> None:
    @routes.get("/models/<model>", summary="A model and its tensors", responses={200: Model})
    def model(path: ModelPath) -> Response:
        return answer(_described(path.model, _choose(answerer, path.model)))

    @routes.get(
        "/models/<model>/versions/<version>",
        summary="A version of a model and its tensors",
        responses={200: Model},
    )
    def model_version(path: VersionPath) -> Response:
        return answer(_described(path.model, _choose(answerer, path.model, path.version)))

    @routes.get("/models/<model>/ready", summary="A model answers", responses={200: ModelReady})
    def model_ready(path: ModelPath) -> Response:
        _choose(answerer, path.model)
        return answer(ModelReady(name=path.model, ready=True))

    @routes.get(
        "/models/<model>/versions/<version>/ready",
        summary="A version of a model answers",
        responses={200: ModelReady},
    )
    def version_ready(path: VersionPath) -> Response:
        _choose(answerer, path.model, path.version)
        return answer(ModelReady(name=path.model, ready=True))


def _add_infer(routes: APIBlueprint, answerer: Answerer, clock: Clock) -> None:
    how: dict[str, Any] = {
        "description": _INFER,
        "security": needs("classify"),
        "responses": {200: InferAnswer},
    }

    @routes.post("/models/<model>/infer", summary="What a model says of images", **how)
    def infer(path: ModelPath, raw: InferBody) -> Response:
        return _infer(answerer, clock, path.model, None, raw)

    @routes.post(
        "/models/<model>/versions/<version>/infer",
        summary="What a version of a model says of images",
        **how,
    )
    def infer_version(path: VersionPath, raw: InferBody) -> Response:
        return _infer(answerer, clock, path.model, path.version, raw)


def _infer(
    answerer: Answerer, clock: Clock, model: str, version: str | None, raw: InferBody
) -> Response:
    until = deadline(request.headers.get(TIMEOUT_HEADER), clock.monotonic())
    coding = request.headers.get("Content-Encoding", "identity")
    if coding != "identity":
        raise UnsupportedMediaError(f"expected a body as it is, got one in {coding[:40]!r}")
    choice = _choose(answerer, model, version)
    asked = read_request(raw.get_data(cache=False), request.headers.get(LENGTH_HEADER))
    until = min(until, clock.monotonic() + asked.timeout_s)
    try:
        probabilities = _said(answerer, choice, asked.images, until)
    except UnavailableError as error:
        instead = _standing_in(choice, asked.images)
        if error.kind != "failing-network" or instead is None:
            raise
        choice = instead
        probabilities = _said(answerer, choice, asked.images, until)
    names = [category.name for category in choice.answering.card.categories]
    body, length = write_answer(asked, model, choice.answering.network, probabilities, names)
    if length is None:
        return Response(body, mimetype="application/json")
    return Response(body, headers={LENGTH_HEADER: str(length)}, mimetype="application/octet-stream")


def _said(answerer: Answerer, choice: Choice, images: Floats | list[bytes], until: float) -> Floats:
    """Return the probabilities (n, categories) of pixels or pictures; errors as of `infer`."""
    if isinstance(images, np.ndarray):
        return answerer.infer(choice, images, until)
    parts = [
        answerer.infer(choice, _decoded(choice, images[at : at + _TOGETHER]), until)
        for at in range(0, len(images), _TOGETHER)
    ]
    return np.concatenate(parts)


def _standing_in(choice: Choice, images: Floats | list[bytes]) -> Choice | None:
    """Return who answers in place of a network that fails, unless it takes no such pixels."""
    other = choice.fallback
    if other is None:
        return None
    is_made_for = isinstance(images, list) or images.shape[1:] == other.card.preprocessing.shape
    return Choice(other) if is_made_for else None


def _decoded(choice: Choice, pictures: list[bytes]) -> Floats:
    how = choice.answering.card.preprocessing
    images: Floats = np.empty((len(pictures), *how.shape), np.float32)
    for index, data in enumerate(pictures):
        images[index] = decode_stored(data, how.shape, how.resize, how.decoder)
    return images


def _choose(answerer: Answerer, model: str, version: str | None = None) -> Choice:
    """Return who is asked under a name of the protocol.

    Raises:
        NotFoundError: Nobody has this name.
        DiceboxError: As `Answerer.choose` says.
    """
    if is_id(model):
        return _own_version(answerer, answerer.choose(None, model), version)
    try:
        return answerer.choose(model, version)
    except (ConflictError, InvalidInputError) as error:
        if isinstance(error, ConflictError) and error.kind != "no-network":
            raise
        unknown = NotFoundError(f"there is no such model: {error}", kind="unknown-model")
        try:
            choice = answerer.choose(None, model)
        except NotFoundError:
            raise unknown from error
        return _own_version(answerer, choice, version)


def _own_version(answerer: Answerer, choice: Choice, version: str | None) -> Choice:
    """Return a choice if this version names its network too, or no version is named."""
    network = choice.answering.network
    if version is not None and answerer.choose(None, version).answering.network != network:
        raise NotFoundError(f"the network {network} is its own and only version")
    return choice


def _described(name: str, choice: Choice) -> Model:
    card = choice.answering.card
    height, width, channels = card.preprocessing.shape
    return Model(
        name=name,
        versions=[choice.answering.network],
        platform=_PLATFORM,
        inputs=[TensorKind(name=IMAGES, datatype="FP32", shape=[-1, height, width, channels])],
        outputs=[
            TensorKind(name=PROBABILITIES, datatype="FP32", shape=[-1, len(card.categories)]),
            TensorKind(name=CATEGORY, datatype="BYTES", shape=[-1]),
        ],
    )


def _say_error(response: Response) -> Response:
    """Add to a problem what clients of the protocol look for."""
    if response.mimetype == _PROBLEM and f"{request.path}/".startswith(f"{V2}/"):
        response.set_data(with_error(response.get_data()))
    return response
