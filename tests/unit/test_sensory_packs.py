"""Packs, small batches, noise and the difference of snapshots."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest

from commons.adapters.decode import decode_image
from commons.errors import NotFoundError
from commons.messages import FreezeRequest, Snapshot, SnapshotDiff
from sensory_service.adapters.pack_tables import PackTables
from sensory_service.adapters.snapshot_tables import SnapshotTables
from sensory_service.blob_names import image_blob
from sensory_service.noise import add_noise
from sensory_service.packs import ImageReader, PackMaker
from tests.builders import pixels, png_bytes, png_files
from tests.memory_blobs import UnreadableBlobs
from tests.sensory_house import BASE, House, MemoryBlobs, open_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def images_of(house: House, snapshot: Snapshot) -> list[str]:
    rows = SnapshotTables(house.platform.database).rows(snapshot.id, 0, 1000)
    return [row.image for row in rows]


def packs(house: House) -> set[str]:
    return set(house.platform.blobs.names("packs/"))


class CountingBlobs(MemoryBlobs):
    """Remembers what was read."""

    def __init__(self, house: House) -> None:
        super().__init__()
        names = house.platform.blobs.names()
        self.held = {name: house.platform.blobs.get(name) for name in names}
        self.read: list[str] = []

    def get(self, name: str) -> bytes:
        self.read.append(name.split("/", maxsplit=1)[0])
        return super().get(name)


def test_a_shard_is_made_from_packs_alone(house: House) -> None:
    snapshot = house.frozen(each=100)
    assert len(packs(house)) == 1
    blobs = CountingBlobs(house)
    processor = house.with_parts(blobs)
    order = processor.ordered(snapshot, splits=["train"])
    assert processor.processor.step()
    assert set(blobs.read) == {"packs"}
    # With nothing more to do it looks at the images themselves.
    assert processor.work() == 0
    assert house.client.order_state(order.id).state == "complete"


def test_a_later_snapshot_packs_only_what_is_new(house: House) -> None:
    house.frozen()
    (first,) = packs(house)
    house.client.upload("pets", png_files(5, seed=7), "cat")
    second = house.client.freeze("pets", FreezeRequest())
    (new,) = packs(house) - {first}
    data = house.platform.blobs.get(new)
    assert len(data) == sum(len(file) for _, file in png_files(5, seed=7))
    places = PackTables(house.platform.database).places(images_of(house, second))
    assert len(places) == 25


def test_a_pack_ends_when_it_is_full(house: House) -> None:
    snapshot = house.frozen()
    database, blobs = house.platform.database, MemoryBlobs()
    for image in images_of(house, snapshot):
        blobs.put(image_blob(image), house.client.image(image))
    tables = PackTables(database)
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM packed")
    maker = PackMaker(tables, SnapshotTables(database), blobs, house.platform.clock, pack_bytes=400)
    maker.pack(snapshot.id)
    made = list(blobs.names("packs/"))
    assert len(made) > 2
    assert all(len(blobs.get(name)) < 800 for name in made)


def test_images_are_read_from_packs_or_from_their_own_blobs_alike(house: House) -> None:
    snapshot = house.frozen(each=40)
    images = images_of(house, snapshot)
    images += images[:3]
    expected = [house.client.image(image) for image in images]
    catalog = PackTables(house.platform.database)
    blobs = CountingBlobs(house)
    assert ImageReader(catalog, blobs).read(images) == expected
    (pack,) = packs(house)
    for damage in (b"", b"x" * len(blobs.held[pack])):
        blobs.held[pack] = damage
        assert ImageReader(catalog, blobs).read(images) == expected
    del blobs.held[pack]
    assert ImageReader(catalog, blobs).read(images) == expected
    del blobs.held[image_blob(images[5])]
    with pytest.raises(NotFoundError, match=images[5]):
        ImageReader(catalog, blobs).read(images)


def test_a_large_snapshot_is_packed_by_idle_processors(house: House) -> None:
    snapshot = house.frozen()
    with house.platform.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM packed")
        connection.exec_driver_sql("UPDATE snapshot SET packed = NULL")
    catalog = PackTables(house.platform.database)
    assert catalog.unpacked() == snapshot.id
    assert not house.processor.step()
    assert catalog.unpacked() is None
    assert len(catalog.places(images_of(house, snapshot))) == 20


def left_unpacked(house: House, dataset: str) -> Snapshot:
    """Return a snapshot that could not be packed when it was frozen."""
    blobs = house.platform.blobs
    assert isinstance(blobs, UnreadableBlobs)
    blobs.is_away = True
    snapshot = house.client.freeze(dataset, FreezeRequest())
    blobs.is_away = False
    return snapshot


def test_one_image_that_cannot_be_read_stops_no_idle_work(house: House) -> None:
    blobs = UnreadableBlobs()
    house = house.with_parts(blobs)
    house.fill("pets", {"cat": 10, "dog": 10})
    images = images_of(house, left_unpacked(house, "pets"))
    blobs.bad = {image_blob(images[3])}
    house.processor.step()
    catalog = PackTables(house.platform.database)
    assert catalog.unpacked() is None
    assert set(images) - set(catalog.places(images)) == {images[3]}
    house.processor.step()
    looked = house.client.lookup("pets", images)
    assert [image for image in images if looked[image].group is None] == [images[3]]


def test_a_snapshot_that_cannot_be_packed_waits_and_nothing_else_does(house: House) -> None:
    blobs, clock = UnreadableBlobs(), house.platform.clock
    house = house.with_parts(blobs)
    house.fill("pets", {"cat": 4, "dog": 4})
    house.fill("zoo", {"eel": 4, "owl": 4}, shape=(9, 9, 1))
    first, second = left_unpacked(house, "pets"), left_unpacked(house, "zoo")
    blobs.bad = {image_blob(image) for image in images_of(house, first)}
    house.processor.step()
    (image, *_) = images_of(house, second)
    assert house.client.lookup("zoo", [image])[image].group, "it looks at images all the same"
    catalog = PackTables(house.platform.database)
    clock.sleep(60.0)
    house.processor.step()
    assert catalog.unpacked(besides=[first.id]) is None
    clock.sleep(60.0)
    house.processor.step()
    assert catalog.unpacked() == first.id, "what nobody could read is not taken for packed"
    blobs.bad = set()
    house.processor.step()
    assert catalog.unpacked() == first.id, "it is not tried again at every turn"
    clock.sleep(3600.0)
    house.processor.step()
    assert catalog.unpacked() is None


def test_a_freeze_that_cannot_be_packed_is_frozen_all_the_same(house: House) -> None:
    blobs = MemoryBlobs()
    full = house.with_parts(blobs)
    full.fill("pets", {"cat": 10, "dog": 10})
    blobs.room = 10
    snapshot = full.client.freeze("pets", FreezeRequest())
    assert full.client.snapshot(snapshot.id) == snapshot
    assert list(blobs.names("packs/")) == []


def diff(house: House, before: Snapshot, after: Snapshot, limit: int = 1000) -> SnapshotDiff:
    reply = house.http.get(f"{BASE}/snapshots/{before.id}/diff/{after.id}?limit={limit}")
    return SnapshotDiff.model_validate_json(reply.content)


def test_a_diff_counts_and_names_what_changed(house: House) -> None:
    before = house.frozen(each=30)
    gone, changed = images_of(house, before)[7], images_of(house, before)[50]
    house.http.delete(f"{BASE}/datasets/pets/images/{gone}")
    label = house.http.put(
        f"{BASE}/datasets/pets/images/{changed}/label", json={"category": "eel"}
    ).json()["category"]
    (new,) = house.client.upload("pets", [("a.png", png_bytes((9, 9, 1)))], "eel").stored
    house.fill("pets", {"eel": 4}, shape=(5, 5, 1))
    after = house.client.freeze("pets", FreezeRequest())
    found = diff(house, before, after)
    assert (found.added, found.removed, found.relabeled) == (5, 1, 1)
    assert [category.name for category in found.categories_added] == ["eel"]
    by_image = {change.image: change for change in found.changes}
    assert by_image[gone].kind == "removed"
    assert by_image[new.image].kind == "added"
    assert by_image[changed].after == label["id"]
    assert len(diff(house, before, after, limit=1).changes) == 3
    same = diff(house, after, after)
    assert (same.added, same.removed, same.relabeled, same.changes) == (0, 0, 0, [])


def batch(house: House, snapshot: Snapshot, query: str = "") -> dict[str, np.ndarray]:
    reply = house.http.get(f"{BASE}/snapshots/{snapshot.id}/batch?{query}")
    assert reply.status_code == 200, reply.text
    with np.load(io.BytesIO(reply.content), allow_pickle=False) as arrays:
        return dict(arrays)


def test_a_small_batch_is_what_the_images_decode_to(house: House) -> None:
    snapshot = house.frozen(each=20)
    drawn = batch(house, snapshot, "size=10&shape=5x6x3&seed=4")
    assert drawn["images"].shape == (10, 5, 6, 3)
    assert len(set(drawn["hashes"])) == 10
    labels = {
        line.image: line.category for line in house.client.snapshot_images(snapshot.id, "train")
    }
    for image, label, sha256 in zip(
        *(drawn[k] for k in ("images", "labels", "hashes")), strict=True
    ):
        data = house.client.image(sha256.decode())
        assert (image == decode_image(data, (5, 6, 3), "fit")).all()
        assert labels[sha256.decode()] == label


def test_a_small_batch_depends_on_its_seed_alone(house: House) -> None:
    snapshot = house.frozen(each=20)
    first, again, other = (batch(house, snapshot, f"size=10&noise=0.5&seed={s}") for s in (3, 3, 4))
    assert (first["images"] == again["images"]).all()
    assert (first["hashes"] != other["hashes"]).any()


def test_a_split_that_is_smaller_than_the_batch_comes_whole(house: House) -> None:
    snapshot = house.frozen(each=20)
    assert len(batch(house, snapshot, "size=100&split=test")["labels"]) == 6


def test_a_small_batch_is_json_for_who_asks_for_it(house: House) -> None:
    snapshot = house.frozen()
    path = f"{BASE}/snapshots/{snapshot.id}/batch?size=4"
    reply = house.http.get(path, headers={"Accept": "application/json"}).json()
    values = np.frombuffer(base64.b64decode(reply["images"]), np.uint8).reshape(reply["shape"])
    assert (values == batch(house, snapshot, "size=4")["images"]).all()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("size=0", 400),
        ("size=5000", 400),
        ("shape=8x8", 400),
        ("shape=8x8x2", 400),
        ("shape=ax8x1", 400),
        ("seed=-1", 400),
        ("noise=1.5", 400),
        ("resize=squeeze", 400),
        ("size=4096&shape=1024x1024x3", 413),
    ],
)
def test_a_wrong_small_batch_is_refused(house: House, query: str, status: int) -> None:
    snapshot = house.frozen()
    assert house.http.get(f"{BASE}/snapshots/{snapshot.id}/batch?{query}").status_code == status


def test_a_small_batch_of_nothing_is_refused(house: House) -> None:
    assert house.http.get(f"{BASE}/snapshots/{'0' * 64}/batch").status_code == 404
    house.client.upload("pets", png_files(4, seed=1), "cat", "train")
    house.client.upload("pets", png_files(4, seed=2), "dog")
    snapshot = house.client.freeze("pets", FreezeRequest(test_share=0.0))
    reply = house.http.get(f"{BASE}/snapshots/{snapshot.id}/batch?split=test")
    assert reply.json()["type"] == "empty-splits"


@pytest.mark.parametrize("shape", [(9, 14, 1), (14, 9, 3), (1, 1, 3)])
def test_noise_keeps_the_shape_and_no_chance_is_no_noise(shape: tuple[int, int, int]) -> None:
    picture = pixels(shape)
    for seed in range(20):
        assert add_noise(np.random.default_rng(seed), picture, 1.0).shape == shape
    same = add_noise(np.random.default_rng(0), picture, 0.0)
    assert (same == picture).all()


def test_noise_happens_as_often_as_its_chance() -> None:
    picture = pixels((20, 20, 1))
    rng = np.random.default_rng(0)
    changed = sum((add_noise(rng, picture, 0.3) != picture).any() for _ in range(500))
    assert 0.45 < changed / 500 < 0.57, "1 - 0.7 * 0.7 of them"


def test_noise_that_shrinks_pads_with_black() -> None:
    white = np.full((20, 20, 1), 255, np.uint8)
    corners = {
        int(add_noise(np.random.default_rng(seed), white, 1.0)[0, 0, 0]) for seed in range(20)
    }
    assert 0 in corners
