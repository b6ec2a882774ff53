"""What races the erasure of the same bytes; on every database of `tests.databases`.

What is acknowledged has its bytes, wherever in the upload or in the erasure the other one comes;
and no pack and no shard that is made meanwhile has bytes that are erased.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy

from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate, sqlite_url
from commons.adapters.table_queue import TableQueue
from commons.errors import DiceboxError, UnavailableError
from commons.messages import FreezeRequest
from sensory_service.adapters.dataset_tables import DatasetTables
from sensory_service.adapters.erasure_tables import ErasureTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.shard_tables import ShardTables
from sensory_service.app import MIGRATIONS, Platform, Settings
from sensory_service.blob_names import image_blob
from sensory_service.erasure import Eraser
from sensory_service.images import ImageStore
from tests.builders import png_bytes
from tests.databases import database_urls, opened_database
from tests.sensory_house import BASE, House, ManualClock, MemoryBlobs, build_house

DATA = png_bytes()
IMAGE = hashlib.sha256(DATA).hexdigest()
ROUNDS = 30


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        yield database


class InterruptedBlobs(MemoryBlobs):
    """Has something else happen right before or after a put, or right after a deletion."""

    def __init__(self) -> None:
        super().__init__()
        self.before_put: Callable[[], object] | None = None
        self.after_put: Callable[[], object] | None = None
        self.after_delete: Callable[[], object] | None = None

    def put(self, name: str, data: bytes) -> bool:
        self._once("before_put")
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
    parts = Parts(
        store, Eraser(ErasureTables(database), ShardTables(database), blobs, clock), blobs, datasets
    )
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
    # Bytes of an upload that was refused between the last deletion and the end of the erasure
    # may be there: nobody's, which the check of the storage names.
    if parts.datasets.summary("pets").images:
        parts.check()
    parts.upload()
    assert parts.datasets.summary("pets").images == 1
    parts.check()


@pytest.fixture
def house(database: sqlalchemy.Engine, tmp_path: Path) -> Iterator[House]:
    queue_database = create_database(sqlite_url(tmp_path / "queue.sqlite3"))
    queue = TableQueue(queue_database, ManualClock())
    queue.create_tables()
    platform = Platform(database, InterruptedBlobs(), queue, ManualClock())
    yield build_house(Settings(data=tmp_path), platform)
    queue_database.dispose()


def blobs_of(house: House) -> InterruptedBlobs:
    assert isinstance(house.platform.blobs, InterruptedBlobs)
    return house.platform.blobs


def purge(house: House, image: str) -> None:
    assert house.http.delete(f"{BASE}/images/{image}").status_code == 200


def check_gone(house: House, pictures: list[bytes]) -> None:
    held = b"|".join(blobs_of(house).held.values())
    assert [picture in held for picture in pictures] == [False] * len(pictures)
    assert [house.client.check(f"{number:02x}").faults for number in range(256)] == [[]] * 256


MOMENTS = pytest.mark.parametrize("moment", ["before_put", "after_put"])


@MOMENTS
def test_a_pack_that_is_written_meanwhile_is_written_without_it(house: House, moment: str) -> None:
    house.fill("pets", {"cat": 10, "dog": 10})
    (image, *_) = [row.image for row in house.client.images("pets")]
    picture = house.client.image(image)
    setattr(blobs_of(house), moment, lambda: purge(house, image))
    house.client.freeze("pets", FreezeRequest())
    assert len(list(blobs_of(house).names("packs/"))) == 1
    check_gone(house, [picture])


@MOMENTS
def test_two_images_of_one_pack_that_are_erased_at_once_both_go(house: House, moment: str) -> None:
    snapshot = house.frozen()
    images = [line.image for line in house.client.snapshot_images(snapshot.id, "train")][:2]
    pictures = [house.client.image(image) for image in images]
    setattr(blobs_of(house), moment, lambda: purge(house, images[1]))
    purge(house, images[0])
    check_gone(house, pictures)


@MOMENTS
def test_a_shard_that_is_made_meanwhile_is_not_kept(house: House, moment: str) -> None:
    snapshot = house.frozen()
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    picture = house.client.image(line.image)
    order = house.ordered(snapshot, splits=["train"])
    setattr(blobs_of(house), moment, lambda: purge(house, line.image))
    house.work()
    assert list(blobs_of(house).names("shards/")) == []
    state = house.client.order_state(order.id)
    assert (state.state, line.image in str(state.reason)) == ("failed", True)
    check_gone(house, [picture])


def test_freezing_and_erasing_at_once_leaves_no_pack_with_erased_bytes(house: House) -> None:
    house.fill("pets", {"cat": 20, "dog": 20})
    images = [row.image for row in house.client.images("pets")][:ROUNDS]
    pictures = [house.client.image(image) for image in images]

    def erase() -> None:
        for image in images:
            purge(house, image)

    with ThreadPoolExecutor(1) as pool:
        erasing = pool.submit(erase)
        while not erasing.done():
            with suppress(DiceboxError):  # too few are left
                house.client.freeze("pets", FreezeRequest())
        erasing.result()
    held = b"|".join(blobs_of(house).held.values())
    assert not any(picture in held for picture in pictures)
