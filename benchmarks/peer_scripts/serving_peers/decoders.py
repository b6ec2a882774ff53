"""How long decoders take for the pictures of a folder, and how far their pixels are from Pillow's.

`decoders.py FOLDER SECONDS` prints one JSON object: picture to decoder to microseconds and the
largest difference of a value. Pixels are grey or RGB in full size; nothing is resized.
"""

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import pyspng
import simplejpeg  # type: ignore[import-not-found, import-untyped, unused-ignore]
from PIL import Image

Decode = Callable[[bytes], Any]
_LEAST = 20


def pillow(data: bytes) -> Any:
    """Decode with Pillow, the reference."""
    return np.asarray(Image.open(io.BytesIO(data)))


def opencv(data: bytes) -> Any:
    """Decode with OpenCV; its colours come the other way round."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # noqa: PLR2004


def turbo(data: bytes, **fast: bool) -> Any:
    """Decode a JPEG with libjpeg-turbo through simplejpeg."""
    height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    pixels = simplejpeg.decode_jpeg(data, "GRAY" if space == "Gray" else "RGB", **fast)
    return pixels.reshape(height, width) if space == "Gray" else pixels


def fast_turbo(data: bytes) -> Any:
    """Decode a JPEG with its faster and less exact methods."""
    return turbo(data, fastdct=True, fastupsample=True)


OF_PNG: dict[str, Decode] = {"Pillow": pillow, "pyspng": pyspng.load, "OpenCV": opencv}
OF_JPEG: dict[str, Decode] = {
    "Pillow": pillow,
    "simplejpeg": turbo,
    "simplejpeg, fast": fast_turbo,
    "OpenCV": opencv,
}


def measured(decode: Decode, data: bytes, seconds: float) -> dict[str, float]:
    """Return what one decoder does with one picture."""
    exact = pillow(data).astype(np.int16)
    found = np.asarray(decode(data)).reshape(exact.shape).astype(np.int16)
    took: list[float] = []
    end = time.perf_counter() + seconds
    while len(took) < _LEAST or time.perf_counter() < end:
        start = time.perf_counter()
        decode(data)
        took.append(time.perf_counter() - start)
    return {"us": 1e6 * median(took), "difference": float(np.abs(found - exact).max())}


def main(folder: Path, seconds: float) -> None:
    """Measure every picture with every decoder of its format."""
    cv2.setNumThreads(1)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        decoders = OF_PNG if file.suffix == ".png" else OF_JPEG
        figures[file.name] = {
            name: measured(decode, data, seconds) for name, decode in decoders.items()
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
