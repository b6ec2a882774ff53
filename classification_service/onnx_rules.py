"""What an ONNX file of ours may hold, read from its bytes: nothing of it is loaded or run.

An ONNX file is one protocol buffer message. Its fields are walked by their numbers, and only as
far as the rules reach; whoever loads it afterwards checks the rest.
"""

from collections.abc import Iterator

# Where standard operators come from; anything else is somebody's own code, or a runtime's.
_DOMAINS = frozenset(("", "ai.onnx"))
# Converters declare it whether they need it or not; no operator of it may be used.
_DECLARED = _DOMAINS | {"ai.onnx.ml"}
_MOST_FIELDS = 200_000
_MOST_NODES = 10_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
# Numbers of fields, from onnx.proto.
_MODEL_OPSETS, _MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 8, 7, 20, 25
_OPSET_DOMAIN = 1
_GRAPH_NODES, _GRAPH_INITIALIZERS = 1, 5
_NODE_OPERATOR, _NODE_ATTRIBUTES, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11


class _Walk:
    """Reads the fields of messages; of all together no more than a network of ours has."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def fields(self, message: memoryview) -> Iterator[tuple[int, memoryview | None]]:
        """Yield the number of each field, and what it holds if that is bytes.

        Raises:
            ValueError: It is no message, or has too many fields.
        """
        place = 0
        while place < len(message):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {_MOST_FIELDS:,} fields")
            key, place = _varint(message, place)
            kind = key & 7
            held: memoryview | None = None
            if kind == _VARINT:
                _, place = _varint(message, place)
            elif kind in (_FIXED64, _FIXED32):
                place += 8 if kind == _FIXED64 else 4
            elif kind == _BYTES:
                length, place = _varint(message, place)
                held = message[place : place + length]
                place += length
            else:
                raise ValueError(f"it is no protocol buffer: a field of the kind {kind}")
            if place > len(message):
                raise ValueError("it ends in the middle of a field")
            yield key >> 3, held


def onnx_fault(data: bytes) -> str | None:
    """Return why a file is refused whatever its card says, or nothing.

    Refused are operators from elsewhere than the ONNX standard, functions, graphs inside of
    operators (`If`, `Loop`, `Scan`: they may run for ever), what is there for training, and
    more operators than a network of ours ever has.
    """
    try:
        return _model_fault(memoryview(data), _Walk())
    except (ValueError, UnicodeDecodeError) as error:
        return f"its ONNX file does not load: {error}"


def _model_fault(model: memoryview, walk: _Walk) -> str | None:
    nodes = 0
    for number, held in walk.fields(model):
        if number in (_MODEL_FUNCTIONS, _MODEL_TRAINING):
            return "its ONNX file holds functions or what is there for training"
        if number == _MODEL_OPSETS and held is not None:
            domain = _text(held, _OPSET_DOMAIN, walk)
            if domain not in _DECLARED:
                return f"its ONNX file asks for operators of {domain!r}"
        if number == _MODEL_GRAPH and held is not None:
            # A message may hold its graph in several pieces: all of them count.
            for part, node in walk.fields(held):
                if part == _GRAPH_NODES and node is not None:
                    nodes += 1
                    fault = _node_fault(node, walk)
                    if fault:
                        return fault
    if nodes > _MOST_NODES:
        return f"its ONNX file has {nodes:,} operators, expected at most {_MOST_NODES:,}"
    return None


def _node_fault(node: memoryview, walk: _Walk) -> str | None:
    operator = domain = ""
    holds_graph = False
    for number, held in walk.fields(node):
        if held is None:
            continue
        if number == _NODE_OPERATOR:
            operator = str(held, "utf-8")
        elif number == _NODE_DOMAIN:
            domain = str(held, "utf-8")
        elif number == _NODE_ATTRIBUTES:
            parts = {part for part, _ in walk.fields(held)}
            holds_graph |= bool(parts & {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS})
    if domain not in _DOMAINS:
        return f"its ONNX file uses the operator {operator!r} of {domain!r}"
    if holds_graph:
        return f"its ONNX file has a graph inside of the operator {operator!r}"
    return None


def _text(message: memoryview, field: int, walk: _Walk) -> str:
    text = ""
    for number, held in walk.fields(message):
        if number == field and held is not None:
            text = str(held, "utf-8")
    return text


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number of variable length, and where the next field begins."""
    value = 0
    for count in range(_LONGEST_VARINT):
        if place + count >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[place + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
            return value, place + count + 1
    raise ValueError("it is no protocol buffer: a number without an end")
