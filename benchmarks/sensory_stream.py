"""The memory of the service while a very large archive streams through it."""

import io
import json
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from rich.table import Table

from benchmarks.frame import Findings, Options, figure
from benchmarks.installation import Running, fresh_dicebox
from benchmarks.memory import tenths
from benchmarks.processes import Observer
from benchmarks.rows import Row, at_most
from benchmarks.sensory_sizes import Sizes
from benchmarks.serving import front_of
from commons.adapters.services import SENSORY
from commons.errors import DiceboxError

_SIDE = 240
_CATEGORIES = 10
_WARM_UP = 20  # the first import is so many times smaller
_WHOLE = 10_000  # parts that progress is counted in: the first half is sending, then storing
_PATIENCE_S = 1200.0
_MB = 1e6


def measure(options: Options, sizes: Sizes, _archive: Path) -> Findings:
    """Import an archive that is made while it is sent, and sample the front's memory."""
    files = sizes.stream_bytes // len(_picture(0))
    with fresh_dicebox(options.work / "houses") as (running, _):
        front = front_of(running)[0]
        with Observer(front.pid) as seen:
            _import(running, "warm-up", max(1, files // _WARM_UP), seen)
            seen.samples.clear()
            took = _import(running, "large", files, seen)
    peaks = tenths(seen.samples, _WHOLE)
    figures = {
        "files": files,
        "bytes": sizes.stream_bytes,
        "seconds": took,
        "tenths_bytes": peaks,
        "samples": [[round(s.seconds, 2), s.bytes, s.mark] for s in seen.samples],
    }
    return Findings(summary(figures), [_table(peaks)], figures)


def summary(figures: dict[str, Any]) -> list[Row]:
    """Return the rows."""
    peaks: list[int | None] = figures["tenths_bytes"]
    second, last = peaks[1], peaks[-1]
    known = [peak for peak in peaks if peak is not None]
    size = f"{figures['bytes'] / 1e9:g} GB"
    return [
        Row(f"import of {size}", "MB/s", figures["bytes"] / _MB / figures["seconds"]),
        Row(f"the service, {size}, second tenth", "MB", second / _MB if second else None),
        Row(f"the service, {size}, last tenth", "MB", last / _MB if last else None),
        Row("largest tenth", "MB", max(known) / _MB if known else None),
        Row(
            "last tenth / second tenth",
            "",
            last / second if last and second else None,
            goal=at_most(1.05),
        ),
    ]


def _import(running: Running, dataset: str, files: int, seen: Observer) -> float:
    """Send an archive, mark how far it is, and return the seconds it took."""
    seen.mark = 0
    body = _marked(_archive(files), files * len(_picture(0)), seen)
    url = f"{running.url}{SENSORY}/datasets/{dataset}/imports"
    started = time.perf_counter()
    with httpx.stream("POST", url, content=body, timeout=_PATIENCE_S) as reply:
        line = ""
        for number, each in enumerate(reply.iter_lines()):
            line = each
            seen.mark = _WHOLE // 2 + number * (_WHOLE // 2) // files
    report = json.loads(line)
    if report.get("stored") != files:
        raise DiceboxError(f"expected {files} new images, got {report}")
    return time.perf_counter() - started


def _marked(parts: Iterator[bytes], size: int, seen: Observer) -> Iterator[bytes]:
    sent = 0
    for part in parts:
        yield part
        sent += len(part)
        seen.mark = min(_WHOLE // 2, sent * (_WHOLE // 2) // size)


def _archive(files: int) -> Iterator[bytes]:
    """Yield a tar of different pictures."""
    for number in range(files):
        data = _picture(number, files)
        info = tarfile.TarInfo(f"c{number % _CATEGORIES}/{number}.png")
        info.size = len(data)
        padding = bytes(-len(data) % tarfile.BLOCKSIZE)
        yield info.tobuf() + data + padding
    yield bytes(2 * tarfile.BLOCKSIZE)


def _picture(*seed: int) -> bytes:
    """Return a PNG of noise, which does not shrink: all of them have one size."""
    pixels = np.random.default_rng(seed).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


def _table(peaks: Sequence[int | None]) -> Table:
    table = Table(title="memory of the front by tenth, MB", box=None, title_style="dim")
    for tenth in range(1, len(peaks) + 1):
        table.add_column(str(tenth), justify="right")
    table.add_row(*[figure(None if peak is None else peak / _MB) for peak in peaks])
    return table
