"""The whole sensory service in one folder, in one process, with its real app and tables."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from commons.adapters.database import create_database, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import Caller, SensoryClient
from commons.adapters.table_queue import TableQueue
from commons.errors import UnavailableError
from commons.messages import FreezeRequest, Order, OrderRequest, Snapshot
from commons.ports import Blobs, Clock, Delivery, Queue
from sensory_service.app import (
    Platform,
    Settings,
    create_app,
    create_batch_processor,
    create_collector,
    create_platform,
)
from sensory_service.consumer import BatchProcessor
from sensory_service.outcomes import OutcomeCollector
from sensory_service.shard_messages import ORDER_QUEUE_EXPIRES_S, ORDER_QUEUES
from tests.builders import png_files
from tests.memory_blobs import MemoryBlobs  # noqa: F401 - many tests know it by this module

BASE = "/api/sensory/v1"


class ManualClock:
    """`commons.ports.Clock` that only moves when somebody sleeps or winds it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class SilentQueue:
    """`commons.ports.Queue` that cannot be reached until `reachable` is set."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.reachable = False

    def publish(self, queue: str, bodies: Any) -> None:
        self._reach().publish(queue, bodies)

    def receive(self, queue: str, timeout_s: float) -> Delivery | None:
        return self._reach().receive(queue, timeout_s)

    def acknowledge(self, delivery: Delivery) -> None:
        self._reach().acknowledge(delivery)

    def release(self, delivery: Delivery) -> None:
        self._reach().release(delivery)

    def reject(self, delivery: Delivery) -> None:
        self._reach().reject(delivery)

    def delete(self, queue: str) -> None:
        self._reach().delete(queue)

    def _reach(self) -> Queue:
        if not self.reachable:
            raise UnavailableError("the queue does not answer")
        return self._queue


@dataclass(frozen=True)
class House:
    """The service as its clients see it, and the parts that tests look into."""

    settings: Settings
    platform: Platform
    http: httpx.Client
    client: SensoryClient
    processor: BatchProcessor
    collector: OutcomeCollector

    def fill(self, dataset: str, categories: dict[str, int], **options: Any) -> None:
        """Upload that many new images a category."""
        for number, (category, count) in enumerate(categories.items(), start=1):
            self.client.upload(dataset, png_files(count, seed=number, **options), category)

    def frozen(self, dataset: str = "pets", each: int = 10, **request: Any) -> Snapshot:
        """Return a snapshot of new images of cats and dogs."""
        self.fill(dataset, {"cat": each, "dog": each})
        return self.client.freeze(dataset, FreezeRequest(**request))

    def ordered(self, snapshot: Snapshot, **request: Any) -> Order:
        """Return an order of all splits of a snapshot."""
        options = {"splits": ["train", "validation", "test"], "shape": (8, 8, 1)} | request
        return self.client.order(OrderRequest(snapshot=snapshot.id, **options))

    def work(self) -> int:
        """Let the batch processor do all there is and return the number of tasks."""
        self.collector.step()  # which sends lost tasks again
        count = 0
        while self.step():
            count += 1
        return count

    def step(self) -> bool:
        """Let the batch processor handle a task, if there is one, and record what came of it."""
        came = self.processor.step()
        self.collector.step()
        return came

    def with_parts(
        self, blobs: Blobs | None = None, queue: Queue | None = None, **settings: Any
    ) -> "House":
        """Return the same house with other parts."""
        platform = replace(
            self.platform, blobs=blobs or self.platform.blobs, queue=queue or self.platform.queue
        )
        return build_house(self.settings.model_copy(update=settings), platform)


def open_house(folder: Path, clock: Clock | None = None) -> House:
    """Return a new house in a folder, or the one that is there; its time costs none."""
    settings, clock = Settings(data=folder), clock or ManualClock()
    folder.mkdir(exist_ok=True)
    for name, empty in _empty_tables().items():
        if not (folder / name).exists():
            (folder / name).write_bytes(empty)
    tables = create_database(sqlite_url(folder / "queue.sqlite3"))
    queue = TableQueue(tables, clock, expiring={ORDER_QUEUES: ORDER_QUEUE_EXPIRES_S})
    database = create_database(sqlite_url(folder / "sensory.sqlite3"))
    return build_house(settings, Platform(database, FileBlobs(folder / "blobs"), queue, clock))


@cache
def _empty_tables() -> dict[str, bytes]:
    """Return the files that `create_platform` makes: migrating for every test would take longer."""
    with TemporaryDirectory() as folder:
        platform = create_platform(Settings(data=Path(folder)), ManualClock())
        platform.database.dispose()
        return {file.name: file.read_bytes() for file in Path(folder).iterdir() if file.is_file()}


def build_house(settings: Settings, platform: Platform) -> House:
    """Return the house on a platform."""
    app = create_app(settings, platform)
    http = httpx.Client(transport=httpx.WSGITransport(app), base_url="http://localhost")
    # No patience: an error of the service is what these tests are about.
    client = SensoryClient(Caller(http, patience_s=0.01))
    processor = create_batch_processor(settings, platform)
    return House(settings, platform, http, client, processor, create_collector(settings, platform))
