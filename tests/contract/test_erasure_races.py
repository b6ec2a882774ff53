"""An upload that races the erasure of the same bytes; on every database of `tests.databases`.

What is acknowledged has its bytes, wherever in the upload or in the erasure the other one comes.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count

import pytest
import sqlalchemy

from commons.adapters.clock import SystemClock
from commons.adapters.database import migrate
from commons.errors import UnavailableError
from sensory_service.adapters.dataset_tables import DatasetTables
from sensory_service.adapters.erasure_tables import ErasureTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.app import MIGRATIONS
from sensory_service.blob_names import image_blob
from sensory_service.erasure import Eraser
from sensory_service.images import ImageStore
from tests.builders import png_bytes
from tests.databases import database_urls, opened_database
from tests.sensory_house import MemoryBlobs

DATA = png_bytes()
IMAGE = hashlib.sha256(DATA).hexdigest()
ROUNDS = 30


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        yield database


class InterruptedBlobs(MemoryBlobs):
    """Has something else happen right after a put, or right after a deletion."""

    def __init__(self) -> None:
        super().__init__()
        self.after_put: Callable[[], object] | None = None
        self.after_delete: Callable[[], object] | None = None

    def put(self, name: str, data: bytes) -> bool:
        new = super().put(name, data)
        self._once("after_put")
        return new

    def delete(self, name: str) -> bool:
        there = super().delete(name)
        self._once("after_delete")
        return there

    def _once(self, name: str) -> None:
        action = getattr(self, name)
        setattr(self, name, None)
        if action is not None:
            action()


@dataclass(frozen=True)
class Parts:
    store: ImageStore
    eraser: Eraser
    blobs: InterruptedBlobs
    datasets: DatasetTables

    def upload(self) -> None:
        self.store.store("pets", DATA, "cat", None)

    def erase(self) -> None:
        self.eraser.erase(IMAGE, None)

    def check(self) -> None:
        """What a dataset holds has its bytes."""
        if self.datasets.summary("pets").images:
            assert self.store.image(IMAGE)[0] == DATA
        else:
            assert image_blob(IMAGE) not in self.blobs.held


@pytest.fixture
def parts(database: sqlalchemy.Engine) -> Parts:
    blobs, clock = InterruptedBlobs(), SystemClock()
    datasets = DatasetTables(database)
    ids = partial(next, map(str, count()))
    store = ImageStore(datasets, ImageTables(database), blobs, clock, ids)
    parts = Parts(store, Eraser(ErasureTables(database), blobs, clock), blobs, datasets)
    parts.upload()
    return parts


def test_an_erasure_between_the_bytes_and_the_tables_has_the_bytes_put_again(parts: Parts) -> None:
    parts.blobs.after_put = parts.erase
    parts.upload()
    assert parts.datasets.summary("pets").images == 1
    parts.check()


def test_two_erasures_in_one_upload_lose_nothing_either(parts: Parts) -> None:
    def erase_and_again() -> None:
        parts.erase()
        parts.blobs.after_put = parts.erase

    parts.blobs.after_put = erase_and_again
    parts.upload()
    assert parts.datasets.summary("pets").images == 1
    parts.check()


def test_an_upload_in_the_middle_of_the_erasure_is_told_to_come_again(parts: Parts) -> None:
    refused: list[str] = []

    def upload() -> None:
        with pytest.raises(UnavailableError, match="being erased") as caught:
            parts.upload()
        refused.append(caught.value.kind)

    parts.blobs.after_delete = upload
    parts.erase()
    assert refused == ["being-erased"]
    parts.check()
    parts.upload()
    assert parts.datasets.summary("pets").images == 1
    parts.check()


def test_uploads_and_erasures_at_once_never_acknowledge_what_is_gone(parts: Parts) -> None:
    def erase() -> None:
        for _ in range(ROUNDS):
            parts.erase()

    with ThreadPoolExecutor(1) as pool:
        erasing = pool.submit(erase)
        while not erasing.done():
            with suppress(UnavailableError):  # it is being erased
                parts.upload()
        erasing.result()
    parts.check()
    parts.upload()
    assert parts.datasets.summary("pets").images == 1
    parts.check()
