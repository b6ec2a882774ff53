"""What every server does with an image: Dicebox's own decoder, ONNX Runtime, three answers."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

# The same functions for everybody: those of this repository, which is installed nowhere here.
sys.path.append(str(Path(__file__).parents[3]))

from commons.adapters.decode import decode_stored

_TOP = 3


class Work:
    """The network of `SERVED_NETWORK`, for images of `SERVED_SHAPE`; one thread."""

    def __init__(self) -> None:
        height, width, channels = map(int, os.environ["SERVED_SHAPE"].split("x"))
        self.shape = height, width, channels
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = Path(os.environ["SERVED_NETWORK"]) / "network.onnx"
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def answers(self, files: list[bytes]) -> list[bytes]:
        """Return the answer to each image, as JSON."""
        pixels = np.stack([decode_stored(data, self.shape, "fit") for data in files])
        rows = self._session.run(None, {self._input: pixels.astype(np.float32)})[0]
        return [_json(row) for row in rows]

    def answer(self, data: bytes) -> bytes:
        """Return the answer to an image, as JSON."""
        return self.answers([data])[0]


def _json(row: Any) -> bytes:
    best = np.argsort(-row)[:_TOP]
    said = [{"category": f"category {i}", "probability": float(row[i])} for i in best]
    return json.dumps({"answers": said}).encode()


def number(name: str, default: int) -> int:
    """Return a setting of the server."""
    return int(os.environ.get(name, default))
