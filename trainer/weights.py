"""The arrays of a network as bytes and back, without pickle."""

import io
from collections.abc import Mapping
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

# What numpy raises at bytes that are no arrays.
_UNREADABLE = (BadZipFile, ValueError, EOFError, OSError)


def weights_to_bytes(arrays: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """Return arrays by name (`commons.weight_layout`), in their order, as an `.npz` file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def weights_from_bytes(data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays by name, in the order they were given.

    Raises:
        ValueError: The bytes are no such file.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _UNREADABLE as error:
        raise ValueError(f"these are no weights: {error}") from error
