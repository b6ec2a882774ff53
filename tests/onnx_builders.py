"""Tiny networks without Keras: one matrix and a softmax, with a card and files in the blobs."""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from commons.adapters.decode import DECODER
from commons.genome import Genome, genome_hash
from commons.messages import Category
from commons.network_card import Metrics, NetworkCard, NetworkFile, Preprocessing
from commons.ports import Blobs

SHAPE = (8, 8, 1)
_DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": None}


def zip_bytes(files: dict[str, bytes]) -> bytes:
    """Return an archive of these files, the same at any time."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def keras_bytes(*layers: dict[str, Any], **more: bytes) -> bytes:
    """Return a `.keras` file of layers as their configurations; `more` are more files in it."""
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"layers": list(layers or (_DENSE,))},
        "registered_name": None,
    }
    files = {
        "metadata.json": b"{}",
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": b"weights",
    }
    return zip_bytes({**files, **more})


def npz_bytes(*arrays: np.ndarray) -> bytes:
    """Return a file of weights."""
    files: dict[str, bytes] = {}
    for number, array in enumerate(arrays or (np.zeros((2, 2), np.float32),)):
        file = io.BytesIO()
        np.save(file, array)
        files[f"arr_{number}.npy"] = file.getvalue()
    return zip_bytes(files)


def onnx_bytes(
    shape: tuple[int, int, int] = SHAPE,
    *,
    categories: int = 2,
    weights: np.ndarray | None = None,
    bias: Sequence[float] | None = None,
    last: str = "Softmax",
    batch: int | str = "n",
) -> bytes:
    """Return a network `last(flat(image) / 255 @ weights + bias)`.

    By default category 1 is "bright" and category 0 "dark", split at the middle.
    """
    pixels = int(np.prod(shape))
    if weights is None:
        column = np.full(pixels, 8.0 / pixels)
        weights = np.stack([-column, column] + [column * 0] * (categories - 2), axis=1)
    if bias is None:
        bias = [4.0, -4.0] + [-9.0] * (categories - 2)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"], axis=1),
            helper.make_node("Mul", ["flat", "scale"], ["scaled"]),
            helper.make_node("MatMul", ["scaled", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["logits"]),
            helper.make_node(last, ["logits"], ["probabilities"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [batch, len(bias)])],
        [
            numpy_helper.from_array(np.array(1 / 255, np.float32), "scale"),
            numpy_helper.from_array(np.asarray(weights, np.float32), "weights"),
            numpy_helper.from_array(np.asarray(bias, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def always(index: int, *, categories: int = 2, shape: tuple[int, int, int] = SHAPE) -> bytes:
    """Return a network that gives nearly all probability to one category, whatever it sees."""
    pixels = int(np.prod(shape))
    bias = [8.0 if i == index else float(-i) for i in range(categories)]
    return onnx_bytes(shape, weights=np.zeros((pixels, categories)), bias=bias)


def fails_on_grey(index: int) -> bytes:
    """Return a network that answers for black and for white images and fails for others.

    It looks up place 0 of a list for the two, and one that is not there for what lies between.
    """
    model = onnx.load_from_string(always(index))
    constants = {
        "half": np.array(127.5, np.float32),
        "two": np.array(2.0, np.float32),
        "far": np.array(100.0, np.float32),
        "ones": np.ones(1, np.float32),
        "last_axis": np.array([1], np.int64),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Div", ["mean", "half"], ["halves"]),
        helper.make_node("Floor", ["halves"], ["step"]),
        helper.make_node("Sub", ["step", "two"], ["rest"]),
        helper.make_node("Mul", ["step", "rest"], ["product_of_both"]),
        helper.make_node("Mul", ["product_of_both", "far"], ["place"]),
        helper.make_node("Cast", ["place"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["ones", "index"], ["found"]),
        helper.make_node("Unsqueeze", ["found", "last_axis"], ["factor"]),
        helper.make_node("Mul", ["logits", "factor"], ["looked_up"]),
    ]
    last = model.graph.node.pop()
    last.input[0] = "looked_up"
    model.graph.node.extend([*nodes, last])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def stored_file(blobs: Blobs, data: bytes, suffix: str) -> NetworkFile:
    """Put a file of a network into the blobs and return its line of the card."""
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"networks/{sha256[:2]}/{sha256}.{suffix}"
    blobs.put(name, data)
    return NetworkFile(blob=name, sha256=sha256, bytes=len(data))


def network_card(blobs: Blobs, onnx: bytes | None = None, **changes: Any) -> NetworkCard:
    """Return a valid card whose files are in the blobs; `changes` replace its fields."""
    genome = Genome()
    fields: dict[str, Any] = {
        "dataset": "digits",
        "snapshot": "5" * 64,
        "categories": [Category(id="c0", name="dark"), Category(id="c1", name="bright")],
        "genome": genome,
        "genome_hash": genome_hash(genome),
        "preprocessing": Preprocessing(shape=SHAPE, resize="fit", decoder=DECODER),
        "metrics": Metrics(
            validation_accuracy=0.9,
            validation_loss=0.3,
            validation_images=20,
            train_images=80,
            parameters=130,
            onnx_difference=1e-7,
        ),
        "weights": stored_file(blobs, npz_bytes(), "npz"),
        "keras": stored_file(blobs, keras_bytes(), "keras"),
        "onnx": stored_file(blobs, onnx_bytes() if onnx is None else onnx, "onnx"),
        "created": 1000.0,
        "versions": {"keras": "3"},
    }
    return NetworkCard(**{**fields, **changes})


def costly(shape: tuple[int, int, int], *, layers: int = 8, channels: int = 32) -> bytes:
    """Return a network of convolutions that takes some milliseconds an image, alone or in a batch.

    Bright pictures are of category 1, dark ones of category 0.
    """
    height, width, depth = shape
    kernel = np.zeros((channels, channels, 3, 3), np.float32)
    kernel[np.arange(channels), np.arange(channels), 1, 1] = 1.0
    first = np.full((channels, depth, 1, 1), 1 / depth, np.float32)
    column = np.full(channels, 8.0 / channels / 255, np.float32)
    nodes = [
        helper.make_node("Transpose", ["images"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["channels_first", "first"], ["layer0"]),
        *(
            helper.make_node("Conv", [f"layer{i}", "kernel"], [f"layer{i + 1}"], pads=[1, 1, 1, 1])
            for i in range(layers)
        ),
        helper.make_node("GlobalAveragePool", [f"layer{layers}"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "costly",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", height, width, depth])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])],
        [
            numpy_helper.from_array(first, "first"),
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.stack([-column, column], axis=1), "weights"),
            numpy_helper.from_array(np.array([4.0, -4.0], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
