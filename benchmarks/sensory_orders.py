"""Batch orders: from a snapshot nobody has ordered yet into the caches of two trainers."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.frame import Findings, Options
from benchmarks.installation import dicebox_up
from benchmarks.rows import Row, at_least, at_most
from benchmarks.sensory_sizes import Sizes
from benchmarks.sensory_uploads import DATASET, import_archive, some_of
from commons.adapters.clock import SystemClock
from commons.adapters.services import Caller, SensoryClient
from commons.messages import FreezeRequest, Snapshot
from commons.training import TrainingData
from dicebox.client import Client
from trainer.adapters.example_cache import ExampleCache

_SHAPE = (28, 28, 1)
_DROP = Path("/proc/sys/vm/drop_caches")
_EVERYTHING = "3\n"
_PATIENCE_S = 60.0


def measure(options: Options, sizes: Sizes, archive: Path) -> Findings:
    """Import MNIST, freeze it, forget the page cache, and let two trainers order it."""
    with dicebox_up(options.work / "orders") as running, Client(running.url) as client:
        with some_of(archive, sizes.imported, options.work) as chosen:
            imported = import_archive(running, chosen)
        started = time.perf_counter()
        snapshot = client.sensory.freeze(DATASET, FreezeRequest())
        froze_s = time.perf_counter() - started
        dropped = drop_page_cache(running.data)
        first = _train_data(running.url, snapshot, running.data / "first-trainer")
        second = _train_data(running.url, snapshot, running.data / "second-trainer")
    figures = {
        "imported": imported,
        "freeze_s": froze_s,
        "dropped": dropped,
        "examples": snapshot.counts["train"] + snapshot.counts["validation"],
        "first": first,
        "second": second,
    }
    return Findings(summary(figures), details=figures)


def summary(figures: dict[str, Any]) -> list[Row]:
    """Return the rows; whoever reads them is told how cold the cache was."""
    first, second, count = figures["first"], figures["second"], figures["examples"]
    cold = figures["dropped"]
    alone = {"best_peer": count / first["all_s"], "peer": "first trainer"}
    return [
        Row("import of MNIST, POST imports", "files/s", figures["imported"], goal=at_least(1500)),
        Row("freezing MNIST with its packs", "s", figures["freeze_s"]),
        Row(f"first order, first shard ({cold})", "s", first["first_s"], goal=at_most(2)),
        Row(
            "first order, all in the trainer's cache",
            "images/s",
            count / first["all_s"],
            goal=at_least(20_000),
        ),
        Row(
            "the same order by a second trainer",
            "images/s",
            count / second["all_s"],
            **alone,
            goal=at_least(100_000),
        ),
    ]


def drop_page_cache(folder: Path) -> str:
    """Have the system forget the files of a folder and say in words how far it did."""
    os.sync()
    with suppress(OSError):
        _DROP.write_text(_EVERYTHING, encoding="ascii")
        return "page cache dropped"
    for file in folder.rglob("*"):
        with _opened(file) as descriptor:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return "page cache of the data folder dropped as far as the system lets a user"


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Watched(SensoryClient):
    """Remembers when the first shard was there."""

    first_at: float | None = None

    def shard(self, sha256: str) -> bytes:
        data = super().shard(sha256)
        self.first_at = self.first_at or time.perf_counter()
        return data


def _train_data(url: str, snapshot: Snapshot, folder: Path) -> dict[str, float]:
    """Return the seconds to the first shard and to a cache that a training can read."""
    data = TrainingData(sensory_url=url, snapshot=snapshot.id, shape=_SHAPE)
    with httpx.Client(base_url=url, timeout=_PATIENCE_S) as http:
        watched = _Watched(Caller(http))
        started = time.perf_counter()
        ExampleCache(folder, watched, SystemClock()).examples(data)
        ended = time.perf_counter()
    return {"first_s": (watched.first_at or ended) - started, "all_s": ended - started}
