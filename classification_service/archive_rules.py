"""What the `.keras` and `.npz` files of a network may hold, looked into without loading them.

Both are kept for those who download them. A `.keras` file can run code when it is loaded, an
`.npz` file too if somebody allows pickles; none that could is taken in.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from numpy.lib import format as npy

_KERAS_FILES = frozenset(("metadata.json", "config.json", "model.weights.h5"))
# What our networks are made of; `keras.utils` and others hold functions that open files.
_MODULES = (
    "keras.layers",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.activations",
    "keras.src.models",
    "keras.src.layers",
    "keras.src.ops",
)
_EXACT_MODULES = frozenset(("keras", *_MODULES))
_VALUES = frozenset(("__keras_tensor__", "__tensor__", "__tuple__", "__slice__", "__ellipsis__"))
_CODE = frozenset(("Lambda", "__lambda__", "function"))
_MOST_JSON_BYTES = 16 * 1024 * 1024
_MOST_MEMBERS = 10_000
# Weights do not shrink: what grows so much more is made to fill a memory.
_MOST_TIMES_LARGER = 20
_SLACK_BYTES = 1 << 20


def keras_fault(data: bytes) -> str | None:
    """Return why a `.keras` file is refused, or nothing: it names code that is not Keras' own."""
    return _looked_into("keras", data, _keras_fault)


def npz_fault(data: bytes) -> str | None:
    """Return why a file of weights is refused, or nothing: it holds more than numbers."""
    return _looked_into("weights", data, _npz_fault)


def _looked_into(
    kind: str, data: bytes, fault: Callable[[zipfile.ZipFile], str | None]
) -> str | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            reason = _size_fault(archive, len(data)) or fault(archive)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        # RuntimeError, of which RecursionError is one: encrypted, or JSON nested without an end.
        reason = f"cannot be read: {error or type(error).__name__}"
    return f"its {kind} file {reason}" if reason else None


def _size_fault(archive: zipfile.ZipFile, size: int) -> str | None:
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        return f"holds {len(members):,} files"
    if len({member.filename for member in members}) != len(members):
        return "holds two files of one name"
    unpacked = sum(member.file_size for member in members)
    if unpacked > _MOST_TIMES_LARGER * size + _SLACK_BYTES:
        return f"would grow from {size:,} to {unpacked:,} bytes"
    return None


def _keras_fault(archive: zipfile.ZipFile) -> str | None:
    names = set(archive.namelist())
    if names != _KERAS_FILES:
        return f"holds {', '.join(sorted(names)) or 'nothing'}"
    for name in ("metadata.json", "config.json"):
        if archive.getinfo(name).file_size > _MOST_JSON_BYTES:
            return f"has a {name} of {archive.getinfo(name).file_size:,} bytes"
        json.loads(archive.read(name))
    for found in _objects(json.loads(archive.read("config.json"))):
        reason = _object_fault(found)
        if reason:
            return reason
    return None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield what a configuration says is an object, wherever it stands."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.keys() & {"class_name", "registered_name"}:
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _object_fault(found: dict[str, Any]) -> str | None:
    name, module = found.get("class_name"), found.get("module")
    registered = found.get("registered_name")
    if name in _CODE or not isinstance(name, str):
        return f"holds code: {name!r}"
    if registered not in (None, name):
        return f"names an object of somebody's own: {registered!r}"
    if module is None and name in _VALUES:
        return None
    is_ours = isinstance(module, str) and (
        module in _EXACT_MODULES or module.startswith(tuple(f"{one}." for one in _MODULES))
    )
    return None if is_ours else f"names {name!r} of {module!r}, which is not of Keras' own layers"


def _npz_fault(archive: zipfile.ZipFile) -> str | None:
    for name in archive.namelist():
        with archive.open(name) as file:
            if not name.endswith(".npy") or _holds_objects(file):
                return f"holds more than numbers: {name!r}"
    return None


def _holds_objects(file: IO[bytes]) -> bool:
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array of the version {version}")
    _, _, dtype = readers[version](file)
    return bool(dtype.hasobject)
