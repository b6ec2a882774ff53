"""Recording beside retention and removal: no row without its image, no image without a row."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

import classification_service
from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.history import History
from classification_service.history_ports import HistoryFilter
from classification_service.history_retention import HistoryRetention
from classification_service.recording import BatchRecorder, classified_blob
from commons.adapters.clock import SystemClock
from commons.adapters.database import migrate
from commons.errors import NotFoundError
from commons.messages import Category
from tests.databases import database_urls, opened_database
from tests.memory_blobs import MemoryBlobs

MIGRATIONS = Path(classification_service.__file__).parent / "migrations"
ROUNDS = 10
OFFERS = 40  # each round
PICTURES = [bytes([number]) for number in range(4)]


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        yield database


class Removers:
    """Threads that expire and remove what comes, until they are told to stop."""

    def __init__(self, history: History, retention: HistoryRetention) -> None:
        self._history = history
        self._retention = retention
        self._stop = threading.Event()
        self.expired = self.removed = 0
        self._threads = [threading.Thread(target=one) for one in (self._expire, self._remove)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _expire(self) -> None:
        while not self._stop.is_set():
            self.expired += self._retention.step()

    def _remove(self) -> None:
        while not self._stop.is_set():
            for one in self._history.page(HistoryFilter(), "newest", None, 3).classifications:
                # Retention may be faster.
                with suppress(NotFoundError):
                    self._history.remove(one.id)
                    self.removed += 1


def record(tables: SqlHistoryTables, blobs: MemoryBlobs) -> None:
    """Record some pictures again and again, in many batches of two recorders."""
    recorders = [
        BatchRecorder(tables, blobs, SystemClock(), 1.0, lambda: 0.0, lambda *_: None, pause_s=0.0)
        for _ in range(2)
    ]
    for number in range(OFFERS):
        data = PICTURES[number % len(PICTURES)]
        recorders[number % 2].offer(
            data=data,
            image=hashlib.sha256(data).hexdigest(),
            dataset="digits",
            network="a" * 64,
            categories=[Category(id="c", name="cat")],
            probabilities=np.array([1.0], np.float32),
            seconds=0.001,
        )
        threading.Event().wait(0.001)
    for recorder in recorders:
        recorder.close(30.0)


def test_an_image_that_is_recorded_while_its_last_row_goes_is_there(database, tell):
    blobs, clock, tables = MemoryBlobs(), SystemClock(), SqlHistoryTables(database)
    history, gone = History(tables, blobs, clock), 0
    for done in range(1, ROUNDS + 1):
        retention = HistoryRetention(tables, blobs, clock, most_s=3600.0, most=2)
        removers = Removers(history, retention)
        record(tables, blobs)
        removers.stop()
        gone += removers.expired + removers.removed
        left = history.page(HistoryFilter(), "newest", None, 1000).classifications
        assert len(left) + gone == done * OFFERS
        assert set(blobs.held) == {classified_blob(one.image) for one in left}
    tell(f"{ROUNDS * OFFERS} recorded, {gone} gone meanwhile, every image where it belongs")
