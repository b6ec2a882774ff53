"""What is taken in as a network: nothing that could run code, or run for ever."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from classification_service.adapters.onnx_proof import prove_onnx
from classification_service.archive_rules import keras_fault, npz_fault
from classification_service.onnx_rules import onnx_fault
from commons.errors import InvalidInputError
from tests.onnx_builders import SHAPE, keras_bytes, npz_bytes, onnx_bytes, zip_bytes


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_from_string(onnx_bytes())
    change(model)
    return bytes(model.SerializeToString())


def layer(**changes: Any) -> dict[str, Any]:
    usual = {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {},
        "registered_name": None,
    }
    return {**usual, **changes}


# ONNX


def _with_loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["goes_on"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("goes_on", TensorProto.BOOL, [])],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("Loop", ["", "yes"], [], body=body))


def _with_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def _with_operator_of(domain: str) -> Callable[[onnx.ModelProto], object]:
    node = helper.make_node("Normalizer", ["logits"], ["normal"], domain=domain)
    return lambda model: model.graph.node.append(node)


def _with_function(model: onnx.ModelProto) -> None:
    identity = helper.make_node("Identity", ["x"], ["y"])
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(
        helper.make_function("", "Relu", ["x"], ["y"], [identity], opset_imports=opsets)
    )


def _with_training(model: onnx.ModelProto) -> None:
    model.training_info.append(onnx.TrainingInfoProto())


def _with_many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend(helper.make_node("Relu", ["a"], ["b"]) for _ in range(10_001))


FOREIGN = {
    "loop": (_with_loop, "graph inside of the operator 'Loop'"),
    "domain": (_with_domain, "com.example"),
    "contributed": (_with_operator_of("com.microsoft"), "com.microsoft"),
    "classic": (_with_operator_of("ai.onnx.ml"), "ai.onnx.ml"),
    "function": (_with_function, "functions"),
    "training": (_with_training, "training"),
    "many": (_with_many_nodes, "10,00"),
}


def test_a_network_of_ours_is_taken() -> None:
    assert onnx_fault(onnx_bytes()) is None


def test_a_domain_that_converters_declare_and_nobody_uses_is_taken() -> None:
    declared = helper.make_opsetid("ai.onnx.ml", 2)
    assert onnx_fault(changed(lambda model: model.opset_import.append(declared))) is None


@pytest.mark.parametrize("fault", FOREIGN)
def test_what_is_not_ours_is_refused_without_being_loaded(fault: str) -> None:
    change, reason = FOREIGN[fault]
    assert reason in str(onnx_fault(changed(change)))


def test_a_graph_in_several_pieces_is_looked_at_in_whole() -> None:
    """Protocol buffers put the pieces of a message together: the last one alone says nothing."""
    hidden = onnx.ModelProto()
    _with_loop(hidden)
    pieces = hidden.SerializeToString() + onnx_bytes()
    assert onnx.load_from_string(pieces).graph.node[0].op_type == "Loop"
    assert "Loop" in str(onnx_fault(pieces))


@pytest.mark.parametrize("data", [b"not onnx", b"\x0a\xff\xff\xff\xff", b"\xff" * 20, b"\x0b"])
def test_what_is_no_message_does_not_load(data: bytes) -> None:
    assert "does not load" in str(onnx_fault(data))


def test_more_fields_than_a_network_has_are_not_read() -> None:
    assert "fields" in str(onnx_fault(b"\x08\x01" * 300_000))


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_are_a_fault_or_none_and_never_an_error(junk: bytes, place: int) -> None:
    good = onnx_bytes()
    for data in (junk, good[:place], good[:place] + junk + good[place:]):
        fault = onnx_fault(data)
        assert fault is None or fault.startswith("its ONNX file")


# Proving


def test_a_network_of_ours_is_proved() -> None:
    prove_onnx(onnx_bytes(), SHAPE)


def _constant_of(values: int) -> bytes:
    """Return a network that makes so many numbers out of a few bytes."""

    def change(model: onnx.ModelProto) -> None:
        size = numpy_helper.from_array(np.array([values], np.int64), "size")
        model.graph.initializer.append(size)
        model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["huge"]))
        model.graph.node.insert(1, helper.make_node("ReduceSum", ["huge"], ["nothing"]))
        model.graph.node.insert(2, helper.make_node("Add", ["images", "nothing"], ["shown"]))
        model.graph.node[3].input[0] = "shown"

    return changed(change)


def test_a_network_that_wants_more_memory_than_it_may_have_is_refused() -> None:
    prove_onnx(_constant_of(1_000), SHAPE)
    with pytest.raises(InvalidInputError, match="too much time or memory") as caught:
        prove_onnx(_constant_of(3 << 30), SHAPE)
    assert caught.value.kind == "damaged-network"


def test_a_network_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classification_service.adapters.onnx_proof._LONGEST_S", 0.05)

    def change(model: onnx.ModelProto) -> None:
        large = numpy_helper.from_array(np.ones((700, 700), np.float32), "large")
        model.graph.initializer.append(large)
        for turn in range(2_000):
            before = "large" if turn == 0 else f"power{turn}"
            model.graph.node.append(
                helper.make_node("MatMul", [before, "large"], [f"power{turn + 1}"])
            )
        model.graph.output.append(
            helper.make_tensor_value_info("power2000", TensorProto.FLOAT, [700, 700])
        )

    with pytest.raises(InvalidInputError, match="too much time or memory"):
        prove_onnx(changed(change), SHAPE)


# .keras


def test_a_keras_file_of_ours_is_taken() -> None:
    nested = layer(config={"kernel_initializer": layer(module="keras.initializers")})
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 8]}}
    functional = layer(
        module="keras.src.models.functional",
        class_name="Functional",
        registered_name="Functional",
        config={"inbound_nodes": [{"args": [tensor]}]},
    )
    flip = layer(module="keras.src.ops.numpy", class_name="Flip", registered_name="Flip")
    assert keras_fault(keras_bytes(nested, functional, flip)) is None


FOREIGN_LAYERS = {
    "lambda": layer(class_name="Lambda"),
    "lambda of old": {"class_name": "Lambda", "config": {}},
    "serialized lambda": {"class_name": "__lambda__", "config": {"value": "4wEAAAA"}},
    "function": layer(module="builtins", class_name="function", config="my_function"),
    "custom": layer(module="my.package", class_name="Mine", registered_name="my>Mine"),
    "registered": layer(registered_name="package>Dense"),
    "gadget": layer(module="keras.utils", class_name="get_file"),
    "look-alike": layer(module="keras.layersevil"),
    "module": layer(module="os", class_name="system"),
    "nobody": {"class_name": "Dense", "config": {}},
    "deep": layer(config={"a": [{"b": layer(config={"c": layer(class_name="Lambda")})}]}),
}


@pytest.mark.parametrize("fault", FOREIGN_LAYERS)
def test_a_keras_file_that_names_code_is_refused(fault: str) -> None:
    reason = keras_fault(keras_bytes(FOREIGN_LAYERS[fault]))
    assert reason is not None
    assert reason.startswith("its keras file")


def test_a_keras_file_with_something_else_in_it_is_refused() -> None:
    assert "evil.py" in str(keras_fault(keras_bytes(**{"evil.py": b"print()"})))
    assert "holds" in str(keras_fault(zip_bytes({"config.json": b"{}"})))


def test_a_keras_file_that_would_fill_the_memory_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (64 << 20))
    assert "would grow" in str(keras_fault(file.getvalue()))


def test_nested_without_an_end_is_refused() -> None:
    config = b"[" * 200_000 + b"]" * 200_000
    assert "cannot be read" in str(keras_fault(keras_bytes(**{"config.json": config})))


@pytest.mark.parametrize("data", [b"", b"a keras file", json.dumps({}).encode()])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert "cannot be read" in str(keras_fault(data))
    assert "cannot be read" in str(npz_fault(data))


# .npz


def test_numbers_are_taken() -> None:
    assert npz_fault(npz_bytes(np.ones(3, np.float32), np.zeros((2, 2), np.int64))) is None


def test_pickles_are_refused() -> None:
    assert "more than numbers" in str(npz_fault(npz_bytes(np.array([{}], dtype=object))))


def test_other_files_among_the_numbers_are_refused() -> None:
    assert "more than numbers" in str(npz_fault(zip_bytes({"weights.pkl": b"cos\nsystem"})))


def test_an_array_that_is_none_is_refused() -> None:
    assert "cannot be read" in str(npz_fault(zip_bytes({"arr_0.npy": b"no array"})))
