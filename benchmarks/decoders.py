"""`python -m benchmarks.decoders`: how long libraries take to decode a picture, and how exactly.

Every picture is decoded in full size first, and nothing is resized. A library that is no dependency
of ours is measured in an environment of its own, and so are all: one process, one set of pictures.
Then photographs become small, by our decoder and by Pillow from the whole picture.
"""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.frame import Findings, Grid, Options, benchmark, figure
from benchmarks.peers import Peer, run_peer
from benchmarks.rows import Row
from benchmarks.serving_network import picture
from commons.adapters.decode import Pixels, decode_stored

_SCRIPTS = Path(__file__).parent / "peer_scripts" / "serving_peers"
_SECONDS, _QUICK_SECONDS = 1.0, 0.02
_TIMEOUT_S = 300.0
DECODERS = ("Pillow", "pyspng", "simplejpeg", "simplejpeg, fast", "OpenCV")
# What `commons.adapters.decode` takes for files that are plain; for all others it takes Pillow.
OURS = {"png": "pyspng", "jpeg": "simplejpeg"}
# What becomes of photographs with these sides.
_SMALL = (64, 64, 3)
_PHOTOGRAPHS = (224, 1000, 3000)
_LEAST = 5
# Sides in pixels, and whether in colour.
_PICTURES = ((28, False), (28, True), (224, False), (224, True), (1000, True))


def peer() -> Peer:
    """Return the program that measures, with all libraries beside it."""
    pinned = (_SCRIPTS / "decoders.txt").read_text(encoding="utf-8").split()
    return Peer("decoders", pinned, _SCRIPTS / "decoders.py", {"OMP_NUM_THREADS": "1"})


@benchmark("decoders")
def decoders(options: Options) -> Findings:
    """Decode PNG and JPEG of several sizes with every library."""
    seconds = _QUICK_SECONDS if options.quick else _SECONDS
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        write_pictures(Path(folder))
        figures = run_peer(peer(), [folder, str(seconds)], options.work, _TIMEOUT_S)
    small = {side: shrunk(picture(side, "JPEG", colour=True), seconds) for side in _PHOTOGRAPHS}
    return Findings(
        [*summary(figures), *small_rows(small)],
        grids=[grid(figures)],
        details={"figures": figures, "small": small},
    )


def shrunk(data: bytes, seconds: float) -> dict[str, float]:
    """Return microseconds of our decoder and of Pillow to make a JPEG small, and how they differ.

    Args:
        data: A JPEG in colour.
        seconds: How long each is measured.
    """
    height, width, _ = _SMALL

    def whole() -> Pixels:
        image = Image.open(io.BytesIO(data))
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))

    def ours() -> Pixels:
        return decode_stored(data, _SMALL, "fit")

    difference = np.abs(ours().astype(np.int16) - whole().astype(np.int16))
    return {
        "us": _median_us(ours, seconds),
        "whole_us": _median_us(whole, seconds),
        "mean_difference": float(difference.mean()),
        "largest_difference": float(difference.max()),
    }


def small_rows(small: dict[int, dict[str, float]]) -> list[Row]:
    """Return our decoder beside Pillow from the whole picture, by the sides of the pictures."""
    to = f"{_SMALL[0]}x{_SMALL[1]}"
    return [
        Row(
            f"JPEG {side}x{side} to {to} (mean difference {found['mean_difference']:.1f} of 255)",
            "µs",
            found["us"],
            found["whole_us"],
            "Pillow, whole",
        )
        for side, found in small.items()
    ]


def _median_us(decode: Callable[[], Pixels], seconds: float) -> float:
    took: list[float] = []
    end = time.perf_counter() + seconds
    while len(took) < _LEAST or time.perf_counter() < end:
        start = time.perf_counter()
        decode()
        took.append(time.perf_counter() - start)
    return 1e6 * median(took)


def write_pictures(folder: Path) -> None:
    """Write the pictures, named by side, colours and format."""
    for side, is_colour in _PICTURES:
        name = f"{side:04d}-{'colour' if is_colour else 'grey'}"
        for kind in ("png", "jpeg"):
            (folder / f"{name}.{kind}").write_bytes(picture(side, kind.upper(), colour=is_colour))


def summary(figures: dict[str, Any]) -> list[Row]:
    """Return the library that we take beside the fastest other one with Pillow's pixels."""
    rows: list[Row] = []
    for name, found in figures.items():
        own = OURS[name.rpartition(".")[2]]
        same = {
            title: each["us"]
            for title, each in found.items()
            if title != own and not each["difference"]
        }
        title, best = min(same.items(), key=lambda pair: pair[1], default=(None, None))
        rows.append(Row(f"decode {name} ({own})", "µs", found[own]["us"], best, title))
    return rows


def grid(figures: dict[str, Any]) -> Grid:
    """Return microseconds, and the largest difference from Pillow where there is one."""
    lines = [
        [name, *(_cell(found.get(title)) for title in DECODERS)] for name, found in figures.items()
    ]
    return Grid(["picture", *(f"{title}, µs" for title in DECODERS)], lines)


def _cell(found: dict[str, float] | None) -> str:
    if found is None:
        return ""
    differs = f" (± {found['difference']:g})" if found["difference"] else ""
    return figure(found["us"]) + differs


if __name__ == "__main__":
    decoders()
