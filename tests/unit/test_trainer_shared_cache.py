"""The cache of examples on a machine of a fleet: shards from the folder, checked, and evicted."""

from pathlib import Path

import numpy as np
import pytest

from commons.adapters.clock import SystemClock
from commons.blob_names import shard_blob
from commons.errors import UnavailableError
from commons.messages import Snapshot
from commons.training import TrainingData
from tests.memory_blobs import MemoryBlobs
from tests.sensory_house import House, open_house
from tests.unit.test_trainer_example_cache import RecordingClient, data_of, working
from trainer.adapters.example_cache import ExampleCache
from trainer.adapters.mapped_examples import address, examples_of, shared_shard


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path / "house", SystemClock())


class Counting(RecordingClient):
    """Counts the shards that came over HTTP."""

    def __init__(self, house: House) -> None:
        super().__init__(house.client)
        self.shards: list[str] = []

    def shard(self, sha256: str) -> bytes:
        self.shards.append(sha256)
        return super().shard(sha256)


class Nobody:
    """A service that is not to be asked."""

    def __getattr__(self, name: str) -> object:
        raise UnavailableError(f"asked for {name}")


def resized(snapshot: Snapshot, resize: str = "fit") -> TrainingData:
    return data_of(snapshot).model_copy(update={"resize": resize})


def filled(
    house: House, folder: Path, snapshot: Snapshot, resize: str = "fit", **options: object
) -> ExampleCache:
    cache = ExampleCache(folder, Counting(house), SystemClock(), 20.0, **options)  # type: ignore[arg-type]
    with working(house):
        cache.examples(resized(snapshot, resize))
    return cache


def entry_of(folder: Path, snapshot: Snapshot, resize: str = "fit") -> Path:
    return folder / f"{snapshot.id[:32]}-8x8x1-{resize}"


@pytest.mark.parametrize(
    ("spoil", "asked"), [(lambda data: data, 0), (lambda data: data + b"x", 2), (lambda _: None, 2)]
)
def test_shards_come_from_the_folder_if_they_are_there_and_whole(
    house: House, folder: Path, spoil: object, asked: int
) -> None:
    snapshot = house.frozen(each=20)
    client = Counting(house)
    blobs = house.platform.blobs
    cache = ExampleCache(
        folder,
        client,
        SystemClock(),
        20.0,
        shared=lambda sha256: spoil(shared_shard(blobs, sha256)),  # type: ignore[operator]
    )
    with working(house):
        examples = cache.examples(data_of(snapshot))
    assert len(client.shards) == asked
    over_http = filled(house, folder / "other", snapshot)
    other = over_http.examples(data_of(snapshot))
    np.testing.assert_array_equal(examples.train.images, other.train.images)
    np.testing.assert_array_equal(examples.validation.labels, other.validation.labels)


def test_a_shard_that_is_not_in_the_blobs_is_none() -> None:
    blobs = MemoryBlobs()
    assert shared_shard(blobs, "a" * 64) is None
    blobs.put(shard_blob("a" * 64), b"numbers")
    assert shared_shard(blobs, "a" * 64) == b"numbers"


def damage(place: Path) -> None:
    with (place / "train-images.npy").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))


@pytest.mark.parametrize(
    "harm",
    [
        damage,
        lambda place: (place / "validation-labels.npy").unlink(),
        lambda place: (place / "statistics.json").write_text("{"),
        lambda place: (place / "statistics.json").write_text('{"mean": [1], "deviation": [1]}'),
    ],
)
def test_what_is_damaged_comes_anew_for_the_next_worker(
    house: House, folder: Path, harm: object
) -> None:
    snapshot = house.frozen(each=20)
    filled(house, folder, snapshot)
    place = entry_of(folder, snapshot)
    before = (place / "train-images.npy").read_bytes()
    harm(place)  # type: ignore[operator]
    (place / "checked").write_text("1 another worker, or none", encoding="ascii")
    client = Counting(house)
    with working(house):
        examples = ExampleCache(folder, client, SystemClock(), 20.0).examples(data_of(snapshot))
    assert len(client.shards) == 2
    assert (place / "train-images.npy").read_bytes() == before
    assert len(examples.validation.labels) == snapshot.counts["validation"]


def test_what_is_whole_is_read_once_for_all_children_of_a_worker(
    house: House, folder: Path
) -> None:
    snapshot = house.frozen(each=20)
    filled(house, folder, snapshot)
    place = entry_of(folder, snapshot)
    mark = (place / "checked").read_text(encoding="ascii")
    (place / "checked").write_text("1 another worker", encoding="ascii")
    ExampleCache(folder, Nobody(), SystemClock()).examples(data_of(snapshot))  # type: ignore[arg-type]
    assert (place / "checked").read_text(encoding="ascii") == mark
    # Not looked at again: what has the mark is taken for whole.
    damage(place)
    ExampleCache(folder, Nobody(), SystemClock()).examples(data_of(snapshot))  # type: ignore[arg-type]


def test_old_examples_go_when_new_ones_need_their_room(house: House, folder: Path) -> None:
    snapshot, kinds = house.frozen(each=20), ("fit", "pad", "crop")

    def there() -> list[bool]:
        return [entry_of(folder, snapshot, kind).exists() for kind in kinds]

    caches = [filled(house, folder, snapshot, kind, most_bytes=9000) for kind in kinds[:2]]
    assert there() == [True, True, False]
    caches.pop(0)
    filled(house, folder, snapshot, "crop", most_bytes=9000)
    # The first was used longest ago, and by nobody any more.
    assert there() == [False, True, True]


def test_examples_that_are_mapped_stay_whatever_is_needed(house: House, folder: Path) -> None:
    snapshot, kinds = house.frozen(each=20), ("fit", "pad")
    kept = [filled(house, folder, snapshot, kind, most_bytes=100) for kind in kinds]
    assert [entry_of(folder, snapshot, kind).exists() for kind in kinds] == [True, True]
    kept.clear()
    again = ExampleCache(folder, Nobody(), SystemClock(), most_bytes=100)  # type: ignore[arg-type]
    # What is here needs no room.
    again.examples(resized(snapshot))
    assert [entry_of(folder, snapshot, kind).exists() for kind in kinds] == [True, True]


def test_a_machine_may_know_the_service_under_an_address_of_its_own() -> None:
    data = TrainingData(sensory_url="http://127.0.0.1:8000", snapshot="a" * 64, shape=(8, 8, 1))
    assert address(data, {}) == "http://127.0.0.1:8000"
    assert address(data, {"DICEBOX_SENSORY_URL": ""}) == "http://127.0.0.1:8000"
    assert address(data, {"DICEBOX_SENSORY_URL": "http://front"}) == "http://front"


def test_the_examples_of_a_process_are_mapped_once(house: House, folder: Path) -> None:
    snapshot = house.frozen(each=20)
    filled(house, folder, snapshot)
    nobody = {"DICEBOX_SENSORY_URL": "http://127.0.0.1:1"}
    data = data_of(snapshot)
    first = examples_of(data, folder, MemoryBlobs(), nobody)
    assert examples_of(data, folder, MemoryBlobs(), nobody) is first
    assert isinstance(first.train.images, np.memmap)
