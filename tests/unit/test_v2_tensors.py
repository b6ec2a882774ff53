"""Tensors of the Open Inference Protocol v2, in JSON and as bytes."""

import base64
import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classification_service.v2_tensors import (
    MAX_JSON_BYTES,
    MAX_LISTS,
    MAX_PICTURES,
    Asked,
    pack_bytes,
    read_request,
    with_error,
    write_answer,
)
from commons.errors import DiceboxError, InvalidInputError, TooLargeError

SHAPE = [2, 1, 2, 1]


def tensor(**changes: Any) -> dict[str, Any]:
    given = {"name": "images", "datatype": "FP32", "shape": SHAPE, "data": [0, 1.5, 2, 255]}
    return {name: value for name, value in {**given, **changes}.items() if value is not ...}


def read(inputs: dict[str, Any] | list[Any], tail: bytes | None = None, **more: Any) -> Asked:
    """Return a request as it is read; with a tail it is a binary one."""
    listed = inputs if isinstance(inputs, list) else [inputs]
    text = json.dumps({"inputs": listed, **more}).encode()
    return read_request(text + (tail or b""), None if tail is None else str(len(text)))


def binary(data: bytes, size: Any = None, **changes: Any) -> Asked:
    parameters = {"binary_data_size": len(data) if size is None else size}
    return read(tensor(data=..., parameters=parameters, **changes), data)


# Pixels


@pytest.mark.parametrize("data", [[0, 1.5, 2, 255], [[[[0], [1.5]]], [[[2], [255]]]]])
def test_pixels_come_flat_or_nested(data: list[Any]) -> None:
    images = read(tensor(data=data)).images
    assert isinstance(images, np.ndarray)
    assert (images.shape, images.dtype) == ((2, 1, 2, 1), np.float32)
    assert images.ravel().tolist() == [0, 1.5, 2, 255]


def test_pixels_come_as_bytes() -> None:
    values = np.array([0, 1.5, 2, 255], "<f4")
    assert binary(values.tobytes()).images.ravel().tolist() == values.tolist()
    assert binary(bytes([0, 7, 255, 1]), datatype="UINT8").images.ravel().tolist() == [0, 7, 255, 1]


@given(st.integers(1, 4), st.binary(min_size=12, max_size=12), st.booleans())
def test_what_is_sent_either_way_arrives_the_same(n: int, block: bytes, as_bytes: bool) -> None:
    pixels = np.frombuffer(block * n, np.uint8).reshape(n, 2, 2, 3)
    for kind in ("UINT8", "FP32"):
        sent = pixels.astype(np.uint8 if kind == "UINT8" else "<f4")
        shape = list(pixels.shape)
        if as_bytes:
            found = binary(sent.tobytes(), datatype=kind, shape=shape)
        else:
            found = read(tensor(datatype=kind, shape=shape, data=sent.tolist()))
        np.testing.assert_array_equal(found.images, pixels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": [1, 2, 3]}, "expected 4 numbers of FP32"),
        ({"data": [[1, 2], [3]]}, "ragged"),
        ({"data": ["1", "2", "3", "4"]}, "expected numbers"),
        ({"data": [True, False, True, True]}, "expected numbers"),
        ({"data": [None, 1, 2, 3]}, "expected numbers"),
        ({"data": [{}, 1, 2, 3]}, "expected numbers"),
        ({"data": [10**400, 1, 2, 3]}, "expected numbers|finite"),
        ({"data": [1e300, 1, 2, 3]}, "finite"),
        ({"data": [-1, 1, 2, 3], "datatype": "UINT8"}, "from 0 to 255"),
        ({"data": [256, 1, 2, 3], "datatype": "UINT8"}, "from 0 to 255"),
        ({"data": [1.5, 1, 2, 3], "datatype": "UINT8"}, "expected numbers"),
        ({"data": ...}, "to have data"),
        ({"shape": [4]}, "expected the shape"),
        ({"shape": [2, 1, 2, 1, 1]}, "expected the shape"),
        ({"shape": [-2, 1, -2, 1]}, "greater than or equal to 0"),
        ({"shape": "wide"}, "inputs.0.shape"),
        ({"shape": [2**62, 2**62, 1, 1]}, "expected"),
        ({"datatype": "FP64"}, "expected the datatype FP32, UINT8 or BYTES"),
        ({"name": "pictures"}, "expected one input, 'images'"),
        ({"parameters": {"binary_data_size": 0}}, "behind the JSON"),
    ],
)
def test_wrong_pixels_in_json_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read(tensor(**changes))


@pytest.mark.parametrize("size", [15, 17, -1, True, "16", 16.5, 2**70])
def test_a_size_that_is_not_that_of_the_bytes_is_refused(size: object) -> None:
    with pytest.raises(InvalidInputError, match="behind the JSON"):
        binary(bytes(16), size)


def test_bytes_that_do_not_fit_the_shape_or_belong_to_nobody_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="for the shape"):
        binary(bytes(15))
    with pytest.raises(InvalidInputError, match="belong to no input"):
        read(tensor(), b"more")
    nan = np.array([math.nan, 1, 2, 3], "<f4").tobytes()
    with pytest.raises(InvalidInputError, match="finite"):
        binary(nan)


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "", "9" * 5000, "²", "100000"])
def test_a_length_of_the_json_that_cannot_be_is_refused(length: str) -> None:
    with pytest.raises(InvalidInputError, match="Inference-Header-Content-Length"):
        read_request(json.dumps({"inputs": [tensor()]}).encode(), length)


@pytest.mark.parametrize("off", [-1, 1])
def test_a_length_that_is_off_by_one_is_refused(off: int) -> None:
    data = np.arange(4, dtype="<f4").tobytes()
    text = json.dumps(
        {"inputs": [tensor(data=..., parameters={"binary_data_size": len(data)})]}
    ).encode()
    with pytest.raises(InvalidInputError):
        read_request(text + data, str(len(text) + off))


# Pictures


def test_pictures_come_as_base64_in_a_row_or_a_column() -> None:
    sent = [b"one picture", b""]
    data = [base64.b64encode(each).decode() for each in sent]
    row = tensor(datatype="BYTES", shape=[2], data=data)
    column = tensor(datatype="BYTES", shape=[2, 1], data=[[each] for each in data])
    typed = {**row, "parameters": {"content_type": "base64"}}
    for one in (row, column, typed, {**column, "data": data}):
        assert read(one).images == sent
    assert read(row, parameters={"content_type": "pillow_base64"}).images == sent


def test_pictures_come_as_bytes() -> None:
    sent = [b"one picture", b"", b"\x00\xff"]
    assert binary(pack_bytes(sent), datatype="BYTES", shape=[3]).images == sent


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ["no base64!"]}, "base64"),
        ({"data": ["äöü"]}, "base64"),
        ({"data": [7]}, "base64"),
        ({"data": ["aGk=", "aGk="]}, "expected 1 pictures, got 2"),
        ({"shape": [0], "data": []}, "expected the shape"),
        ({"shape": []}, "expected the shape"),
        ({"shape": [1, 2]}, "expected the shape"),
        ({"parameters": {"content_type": "str"}}, "content_type 'str'"),
    ],
)
def test_wrong_pictures_are_refused(changes: dict[str, Any], message: str) -> None:
    given = {"datatype": "BYTES", "shape": [1], "data": ["aGk="], **changes}
    with pytest.raises(InvalidInputError, match=message):
        read(tensor(**given))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pack_bytes([b"one", b"two"])[:-1], "cut off"),
        (pack_bytes([b"one"]) + b"\x01\x00", "cut off"),
        (struct.pack("<I", 2**32 - 1) + b"x", "cut off"),
        (pack_bytes([b"one"]), "expected 2 pictures, got 1"),
        (pack_bytes([b""] * 500), "expected 2 pictures, got 3 or more"),
    ],
)
def test_pictures_that_do_not_end_where_they_say_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        binary(data, datatype="BYTES", shape=[2])


def test_too_many_pictures_and_too_long_a_json_are_too_large() -> None:
    with pytest.raises(TooLargeError, match="pictures"):
        binary(bytes(4 * (MAX_PICTURES + 1)), datatype="BYTES", shape=[MAX_PICTURES + 1])
    with pytest.raises(TooLargeError, match="bytes of JSON"):
        read_request(b" " * (MAX_JSON_BYTES + 1), None)
    with pytest.raises(TooLargeError, match="lists in JSON"):
        read_request(b"[" * (MAX_LISTS + 1), None)


# The rest of the request


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b"{}",
        b'{"inputs": {}}',
        b'{"inputs": []}',
        b'{"inputs": [1]}',
        b"[" * 100_000,
        b'{"inputs": [{"name": "images", "shape": [1], "datatype": "FP32", "data": '
        + b"[" * 5000
        + b"]" * 5000
        + b"}]}",
    ],
)
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInputError):
        read_request(text, None)


@given(st.binary(max_size=60), st.one_of(st.none(), st.text(max_size=4)))
def test_no_bytes_do_worse_than_to_be_refused(body: bytes, length: str | None) -> None:
    with pytest.raises(DiceboxError):
        read_request(body, length)


def test_two_inputs_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="one input"):
        read([tensor(), tensor()])


def test_outputs_are_all_or_those_asked_for_in_that_order() -> None:
    assert read(tensor()).outputs == [("probabilities", False), ("category", False)]
    wanted = [{"name": "category", "parameters": {"binary_data": True}}, {"name": "probabilities"}]
    assert read(tensor(), outputs=wanted).outputs == [("category", True), ("probabilities", False)]
    everything = read(tensor(), parameters={"binary_data_output": True}, outputs=wanted)
    assert everything.outputs == [("category", True), ("probabilities", True)]
    with pytest.raises(InvalidInputError, match="expected outputs among"):
        read(tensor(), outputs=[{"name": "logits"}])
    with pytest.raises(InvalidInputError, match="expected no class count"):
        read(tensor(), outputs=[{"name": "probabilities", "parameters": {"classification": 3}}])


def test_the_timeout_is_in_microseconds() -> None:
    assert read(tensor(), parameters={"timeout": 250_000}).timeout_s == 0.25
    assert read(tensor(), parameters={"timeout": 0}).timeout_s == math.inf
    assert read(tensor()).timeout_s == math.inf
    for wrong in (-1, "soon", True, 1.5):
        with pytest.raises(InvalidInputError, match="microseconds"):
            read(tensor(), parameters={"timeout": wrong})


# Answers

SAID = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)


def test_an_answer_in_json_names_model_version_and_the_best_category() -> None:
    asked = read(tensor(), id="42")
    body, length = write_answer(asked, "digits", "f" * 64, SAID, ["dark", "bright"])
    assert length is None
    assert json.loads(body) == {
        "model_name": "digits",
        "model_version": "f" * 64,
        "id": "42",
        "outputs": [
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [2, 2],
                "data": [0.25, 0.75, 1.0, 0.0],
            },
            {"name": "category", "datatype": "BYTES", "shape": [2], "data": ["bright", "dark"]},
        ],
    }


def test_an_answer_as_bytes_has_them_behind_the_json_in_order() -> None:
    asked = read(tensor(), parameters={"binary_data_output": True})
    body, length = write_answer(asked, "digits", "f" * 64, SAID, ["dark", "grün"])
    assert length is not None
    said = json.loads(body[:length])
    assert "id" not in said
    assert [one["parameters"]["binary_data_size"] for one in said["outputs"]] == [16, 17]
    assert all("data" not in one for one in said["outputs"])
    assert body[length : length + 16] == SAID.tobytes()
    assert body[length + 16 :] == pack_bytes(["grün".encode(), b"dark"])


def test_a_problem_says_error_too() -> None:
    said = json.loads(with_error(b'{"type": "x", "detail": "so it is"}'))
    assert said == {"type": "x", "detail": "so it is", "error": "so it is"}
