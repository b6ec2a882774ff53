"""The cache of examples, filled from the real sensory service."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.decode import decode_image
from commons.adapters.services import SensoryClient
from commons.errors import InvalidInputError, UnavailableError
from commons.messages import Order, OrderRequest, ShardDescriptor, Snapshot, Split
from commons.training import TrainingData, resolve_shape
from tests.sensory_house import House, open_house
from trainer.adapters.example_cache import ExampleCache


@contextmanager
def working(house: House) -> Iterator[None]:
    """Let the batch processor work beside the test."""
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            house.step()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path / "house", SystemClock())


class RecordingClient:
    """The real client, remembering the orders that went through it, or spoiling shards."""

    def __init__(self, client: SensoryClient, spoil: bytes = b"") -> None:
        self._client = client
        self._spoil = spoil
        self.orders: list[OrderRequest] = []

    def order(self, request: OrderRequest) -> Order:
        self.orders.append(request)
        return self._client.order(request)

    def order_state(self, order: str) -> Order:
        return self._client.order_state(order)

    def next_shard(self, order: str, after: int, wait_s: float) -> ShardDescriptor | None:
        return self._client.next_shard(order, after, min(wait_s, 0.2))

    def shard(self, sha256: str) -> bytes:
        return self._client.shard(sha256) + self._spoil

    def snapshot(self, snapshot: str) -> Snapshot:
        return self._client.snapshot(snapshot)


def cache_of(
    house: House, folder: Path, client: object = None, patience_s: float = 20.0
) -> ExampleCache:
    return ExampleCache(folder, client or house.client, SystemClock(), patience_s)  # type: ignore[arg-type]


def data_of(snapshot: Snapshot) -> TrainingData:
    return TrainingData(sensory_url="http://house", snapshot=snapshot.id, shape=(8, 8, 1))


def test_the_examples_are_the_images_with_their_labels(house: House, tmp_path: Path) -> None:
    snapshot = house.frozen(each=20)
    with working(house):
        examples = cache_of(house, tmp_path / "cache").examples(data_of(snapshot))
    splits: tuple[tuple[Split, object], ...] = (
        ("train", examples.train),
        ("validation", examples.validation),
    )
    for split, part in splits:
        lines = list(house.client.snapshot_images(snapshot.id, split))
        expected = {
            (
                decode_image(house.client.image(line.image), (8, 8, 1), "fit").tobytes(),
                line.category,
            )
            for line in lines
        }
        came = {
            (image.tobytes(), int(label))
            for image, label in zip(part.images, part.labels, strict=True)  # type: ignore[attr-defined]
        }
        assert came == expected
    assert examples.shape == (8, 8, 1)
    assert examples.mean[0] == pytest.approx(float(examples.train.images.mean()))


def test_test_images_are_never_ordered(house: House, tmp_path: Path) -> None:
    snapshot = house.frozen(each=20)
    client = RecordingClient(house.client)
    with working(house):
        cache_of(house, tmp_path / "cache", client).examples(data_of(snapshot))
    assert [order.splits for order in client.orders] == [["train", "validation"]]


def test_a_second_worker_finds_the_examples_without_asking(house: House, tmp_path: Path) -> None:
    snapshot = house.frozen()
    with working(house):
        first = cache_of(house, tmp_path / "cache").examples(data_of(snapshot))
    second = cache_of(house, tmp_path / "cache", client=object()).examples(data_of(snapshot))
    np.testing.assert_array_equal(first.train.images, second.train.images)
    assert isinstance(second.train.images, np.memmap)


def test_two_workers_at_once_place_one_order(house: House, tmp_path: Path) -> None:
    snapshot = house.frozen()
    client = RecordingClient(house.client)
    found = []
    with working(house):
        threads = [
            threading.Thread(
                target=lambda: found.append(
                    cache_of(house, tmp_path / "cache", client).examples(data_of(snapshot))
                )
            )
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3
    assert len(client.orders) == 1


def test_a_shard_with_other_bytes_is_refused_and_nothing_is_kept(
    house: House, tmp_path: Path
) -> None:
    snapshot = house.frozen()
    with working(house):
        spoiled = RecordingClient(house.client, spoil=b"x")
        with pytest.raises(InvalidInputError, match="expected shard"):
            cache_of(house, tmp_path / "cache", spoiled).examples(data_of(snapshot))
        left = [path.name for path in (tmp_path / "cache").iterdir()]
        assert [name for name in left if not name.endswith(".lock")] == []
        cache_of(house, tmp_path / "cache").examples(data_of(snapshot))


def test_without_a_batch_processor_the_error_says_what_is_missing(
    house: House, tmp_path: Path
) -> None:
    snapshot = house.frozen()
    cache = cache_of(house, tmp_path / "cache", RecordingClient(house.client), patience_s=0.3)
    with pytest.raises(UnavailableError, match="does a batch processor run"):
        cache.examples(data_of(snapshot))


@pytest.mark.parametrize(
    ("median", "shape"),
    [
        ((8, 8, 1), (8, 8, 1)),
        ((64, 64, 3), (64, 64, 3)),
        ((480, 640, 3), (48, 64, 3)),
        ((1, 1000, 1), (1, 64, 1)),
    ],
)
def test_the_default_shape_is_the_median_capped_at_64(
    median: tuple[int, int, int], shape: tuple[int, int, int]
) -> None:
    assert resolve_shape(None, median) == shape
    assert resolve_shape((5, 5, 3), median) == (5, 5, 3)


def test_the_next_shard_is_fetched_while_one_is_written(house: House, tmp_path: Path) -> None:
    snapshot = house.frozen(each=20)
    asked: list[str] = []
    two_asked = threading.Event()

    class Asked(RecordingClient):
        def shard(self, sha256: str) -> bytes:
            asked.append(sha256)
            if len(asked) == 2:
                two_asked.set()
            return super().shard(sha256)

    came_early: list[bool] = []

    def report(done: int, every: int) -> None:
        if 0 < done < every:
            came_early.append(two_asked.wait(20.0))

    with working(house):
        cache_of(house, tmp_path, Asked(house.client)).examples(data_of(snapshot), report)
    assert came_early == [True]
    assert len(asked) == 2
