"""`python -m benchmarks.decoders`: how long libraries take to decode a picture, and how exactly.

Every picture is decoded in full size, nothing is resized. A library that is no dependency of
ours is measured in an environment of its own, and so are all: one process, one set of pictures.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.frame import Findings, Grid, Options, benchmark, figure
from benchmarks.peers import Peer, run_peer
from benchmarks.rows import Row
from benchmarks.serving_network import picture

_SCRIPTS = Path(__file__).parent / "peer_scripts" / "serving_peers"
_SECONDS, _QUICK_SECONDS = 1.0, 0.02
_TIMEOUT_S = 300.0
DECODERS = ("Pillow", "pyspng", "simplejpeg", "simplejpeg, fast", "OpenCV")
# What `commons.adapters.decode` takes for files that are plain; for all others it takes Pillow.
OURS = {"png": "pyspng", "jpeg": "simplejpeg"}
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
    return Findings(summary(figures), grids=[grid(figures)], details={"figures": figures})


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
