"""The arrays of a network as bytes and back, without pickle."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def weights_to_bytes(arrays: Sequence[npt.NDArray[np.float32]]) -> bytes:
    """Return arrays, in the order Keras lists them, as an `.npz` file."""
    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    return buffer.getvalue()


def weights_from_bytes(data: bytes) -> list[npt.NDArray[np.float32]]:
    """Return the arrays in the order they were given."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return [file[f"arr_{number}"] for number in range(len(file.files))]
