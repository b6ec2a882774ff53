"""Open Inference Protocol v2: tensors in JSON, or behind it as bytes (the binary extension).

A request has one input, `images`: pixels as FP32 (0…255) or UINT8 (n, height, width, channels),
or pictures as they are in files, as BYTES (n). An answer has `probabilities`, FP32
(n, categories), and `category`, BYTES (n), the name of the most probable one.
"""

import base64
import binascii
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from classification_service.v2_messages import InferAnswer, InferRequest, InputTensor, OutputTensor
from commons.errors import InvalidInputError, TooLargeError

# The bytes of the JSON, where tensors follow it.
LENGTH_HEADER = "Inference-Header-Content-Length"
IMAGES, PROBABILITIES, CATEGORY = "images", "probabilities", "category"
OUTPUTS = (PROBABILITIES, CATEGORY)
# A number in JSON takes many times its length in memory.
MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_LISTS = 500_000
MAX_PICTURES = 1024
_PIXEL_AXES = 4
_BRIGHTEST = 255
_LENGTH = struct.Struct("<I")
_NUMBERS: Mapping[str, npt.DTypeLike] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}
_BASE64 = (None, "base64", "pillow_base64")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """A request, read.

    Args:
        id: What the client calls it.
        images: Pixels (n, height, width, channels), 0…255, or files of pictures.
        outputs: What is wanted, and whether as bytes, in that order.
        timeout_s: So long is the answer of use.
    """

    id: str | None
    images: Floats | list[bytes]
    outputs: Sequence[tuple[str, bool]]
    timeout_s: float


def read_request(body: bytes, json_length: str | None) -> Asked:
    """Return what a request asks for.

    Args:
        body: The JSON, with tensors behind it where `json_length` says how long it is.
        json_length: The header `LENGTH_HEADER`, if there is one.

    Raises:
        InvalidInputError: It is no such request.
        TooLargeError: The JSON is, or there are too many pictures.
    """
    text, tail = _split(body, json_length)
    try:
        request = InferRequest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the request"
        raise InvalidInputError(f"{where}: {first['msg']}") from error
    (tensor,) = request.inputs if len(request.inputs) == 1 else (None,)
    if tensor is None or tensor.name != IMAGES:
        raise InvalidInputError(
            f"expected one input, {IMAGES!r}, got {[each.name[:40] for each in request.inputs][:8]}"
        )
    return Asked(
        request.id,
        _images(tensor, tail, request.parameters),
        _outputs(request),
        _timeout_s(request.parameters),
    )


def write_answer(
    asked: Asked, model: str, version: str, probabilities: Floats, names: Sequence[str]
) -> tuple[bytes, int | None]:
    """Return the body of the answer and how long its JSON is, None if it is nothing else.

    Args:
        asked: The request.
        model: The name by which the network was asked.
        version: The id of the network.
        probabilities: (n, categories).
        names: The names of the categories.
    """
    outputs: list[OutputTensor] = []
    tail: list[bytes] = []
    for name, is_binary in asked.outputs:
        if name == PROBABILITIES:
            shape, kind = list(probabilities.shape), "FP32"
            data: list[float] | list[str] = probabilities.ravel().tolist()
            packed = probabilities.astype("<f4").tobytes() if is_binary else b""
        else:
            best = [names[index] for index in probabilities.argmax(axis=1)]
            shape, kind, data = [len(best)], "BYTES", best
            packed = pack_bytes([each.encode() for each in best]) if is_binary else b""
        if is_binary:
            tail.append(packed)
            parameters = {"binary_data_size": len(packed)}
            outputs.append(
                OutputTensor(name=name, datatype=kind, shape=shape, parameters=parameters)
            )
        else:
            outputs.append(OutputTensor(name=name, datatype=kind, shape=shape, data=data))
    answer = InferAnswer(model_name=model, model_version=version, id=asked.id, outputs=outputs)
    text = answer.model_dump_json(exclude_none=True).encode()
    return b"".join([text, *tail]), len(text) if tail else None


def pack_bytes(items: Sequence[bytes]) -> bytes:
    """Return the elements of a BYTES tensor, each behind its length."""
    return b"".join(_LENGTH.pack(len(item)) + item for item in items)


def with_error(problem: bytes) -> bytes:
    """Return a problem with the member `error`, where clients of the protocol look for it."""
    said = json.loads(problem)
    return json.dumps({**said, "error": said.get("detail", "")}).encode()


def _split(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    if json_length is None:
        length = len(body)
    elif json_length.isascii() and json_length.isdigit() and int(json_length[:20]) <= len(body):
        length = int(json_length)
    else:
        raise InvalidInputError(
            f"expected {LENGTH_HEADER} to be at most the {len(body)} bytes of the body, "
            f"got {json_length[:40]!r}"
        )
    if length > MAX_JSON_BYTES:
        raise TooLargeError(
            f"expected at most {MAX_JSON_BYTES:,} bytes of JSON, got {length:,}: larger tensors "
            "are sent behind it, as bytes"
        )
    text = body[:length]
    lists = text.count(b"[") + text.count(b"{")
    if lists > MAX_LISTS:
        raise TooLargeError(
            f"expected at most {MAX_LISTS:,} lists in JSON, got {lists:,}: numbers may stand in "
            "one flat list"
        )
    return text, body[length:]


def _images(
    tensor: InputTensor, tail: bytes, parameters: Mapping[str, Any]
) -> Floats | list[bytes]:
    packed = _packed(tensor, tail)
    if tensor.datatype == "BYTES":
        return _pictures(tensor, packed, parameters)
    kind = _NUMBERS.get(tensor.datatype)
    if kind is None:
        raise InvalidInputError(
            f"expected the datatype FP32, UINT8 or BYTES, got {tensor.datatype[:40]!r}"
        )
    if len(tensor.shape) != _PIXEL_AXES:
        raise InvalidInputError(
            f"expected the shape [n, height, width, channels], got {tensor.shape[:8]}"
        )
    expected = math.prod(tensor.shape)
    if packed is None:
        values = _numbers(tensor, kind)
        got = f"{values.size} numbers"
    else:
        whole = len(packed) % np.dtype(kind).itemsize == 0
        values = np.frombuffer(packed if whole else b"", kind)
        got = f"{len(packed)} bytes"
    if values.size != expected:
        raise InvalidInputError(
            f"expected {expected} numbers of {tensor.datatype} for the shape {tensor.shape}, "
            f"got {got}"
        )
    pixels: Floats = values.astype(np.float32).reshape(tensor.shape)
    if not np.isfinite(pixels).all():
        raise InvalidInputError("expected finite numbers, got NaN or infinity")
    return pixels


def _packed(tensor: InputTensor, tail: bytes) -> bytes | None:
    """Return the bytes of a tensor, None if its data is in the JSON."""
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tail:
            raise InvalidInputError(f"{len(tail)} bytes behind the JSON belong to no input")
        if tensor.data is None:
            raise InvalidInputError(f"expected the input {tensor.name!r} to have data")
        return None
    if tensor.data is not None or isinstance(size, bool) or size != len(tail):
        raise InvalidInputError(
            f"expected {len(tail)} bytes behind the JSON to be the data of {tensor.name!r}, "
            f"got the size {str(size)[:40]}"
        )
    return tail


def _numbers(tensor: InputTensor, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return the numbers of JSON, nested in lists or not, as one row."""
    try:
        found = np.array(tensor.data)
    except ValueError as error:
        raise InvalidInputError("expected lists of equal length, got a ragged one") from error
    if found.size and found.dtype.kind not in ("iu" if tensor.datatype == "UINT8" else "iuf"):
        raise InvalidInputError(f"expected numbers of the datatype {tensor.datatype}")
    row = found.ravel()
    if tensor.datatype == "UINT8" and row.size and not 0 <= row.min() <= row.max() <= _BRIGHTEST:
        raise InvalidInputError(f"expected numbers from 0 to {_BRIGHTEST} for UINT8")
    with np.errstate(over="ignore"):  # what overflows is not finite, and refused as that
        return row.astype(kind)


def _pictures(
    tensor: InputTensor, tail: bytes | None, parameters: Mapping[str, Any]
) -> list[bytes]:
    # Some clients send a column.
    count = tensor.shape[0] if tensor.shape[1:] in ([], [1]) and tensor.shape else None
    if not count:
        raise InvalidInputError(f"expected the shape [n] of n pictures, got {tensor.shape[:8]}")
    if count > MAX_PICTURES:
        raise TooLargeError(f"expected at most {MAX_PICTURES:,} pictures, got {count:,}")
    if tail is not None:
        return _unpacked(tail, count)
    rows = tensor.data or []
    items = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in rows]
    if len(items) != count:
        raise InvalidInputError(f"expected {count} pictures, got {len(items)}")
    kind = tensor.parameters.get("content_type", parameters.get("content_type"))
    if kind not in _BASE64:
        raise InvalidInputError(f"expected pictures in base64, got the content_type {kind!r}")
    return [_from_base64(item) for item in items]


def _from_base64(item: object) -> bytes:
    try:
        if isinstance(item, str):
            return base64.b64decode(item, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise InvalidInputError("expected pictures as strings of base64, got something else")


def _unpacked(tail: bytes, count: int) -> list[bytes]:
    items: list[bytes] = []
    at = 0
    while at < len(tail):
        end = at + _LENGTH.size
        if end > len(tail) or (stop := end + _LENGTH.unpack_from(tail, at)[0]) > len(tail):
            raise InvalidInputError(f"the last of {len(items) + 1} pictures is cut off")
        items.append(tail[end:stop])
        at = stop
        if len(items) > count:
            break
    if len(items) != count:
        raise InvalidInputError(f"expected {count} pictures, got {len(items)} or more")
    return items


def _outputs(request: InferRequest) -> list[tuple[str, bool]]:
    binary = bool(request.parameters.get("binary_data_output", False))
    if not request.outputs:
        return [(name, binary) for name in OUTPUTS]
    for wanted in request.outputs:
        if wanted.name not in OUTPUTS:
            raise InvalidInputError(
                f"expected outputs among {', '.join(OUTPUTS)}, got {wanted.name[:40]!r}"
            )
        if "classification" in wanted.parameters:
            raise InvalidInputError(f"expected no class count: {CATEGORY!r} is the best category")
    return [
        (wanted.name, bool(wanted.parameters.get("binary_data", binary)))
        for wanted in request.outputs
    ]


def _timeout_s(parameters: Mapping[str, Any]) -> float:
    """Return Triton's `timeout`, which is in microseconds."""
    timeout = parameters.get("timeout")
    if timeout is None or timeout == 0:
        return math.inf
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise InvalidInputError(f"expected timeout to be microseconds, got {str(timeout)[:40]!r}")
    return timeout / 1e6
