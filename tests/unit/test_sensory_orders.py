"""Batch orders from the request to the last shard, with the real app and processor."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.decode import decode_image
from commons.errors import (
    ConflictError,
    GoneError,
    NotFoundError,
    StorageFullError,
    UnavailableError,
)
from commons.messages import SPLITS, OrderRequest, ShardDescriptor
from sensory_service.app import create_batch_processor
from sensory_service.blob_names import image_blob
from sensory_service.consumer import BatchProcessor
from sensory_service.shard_messages import SHARD_QUEUE
from tests.sensory_house import BASE, House, MemoryBlobs, SilentQueue, open_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


@pytest.fixture(scope="module")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Return a house for what is refused, and so leaves it as empty as it was."""
    return open_house(tmp_path_factory.mktemp("empty"))


def shards(house: House, order: str) -> list[ShardDescriptor]:
    found: list[ShardDescriptor] = []
    while not found or not found[-1].last:
        shard = house.client.next_shard(order, len(found), 0.0)
        assert shard is not None
        found.append(shard)
    return found


def content(house: House, shard: ShardDescriptor) -> tuple[np.ndarray, np.ndarray]:
    with np.load(io.BytesIO(house.client.shard(shard.sha256)), allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def test_an_order_is_accepted_then_complete(house: House) -> None:
    snapshot = house.frozen()
    order = house.ordered(snapshot)
    assert (order.state, order.shards, order.ready, order.examples) == ("accepted", 3, 0, 20)
    assert house.client.next_shard(order.id, 0, 0.0) is None
    assert house.work() == 3
    assert house.client.order_state(order.id).state == "complete"
    assert [shard.split for shard in shards(house, order.id)] == ["train", "validation", "test"]


def test_shards_hold_every_example_once_as_the_decoder_sees_it(house: House) -> None:
    snapshot = house.frozen(each=30)
    order = house.ordered(snapshot, shape=(6, 7, 3), resize="pad")
    house.work()
    for shard in shards(house, order.id):
        images, labels = content(house, shard)
        lines = list(house.client.snapshot_images(snapshot.id, shard.split))
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        assert labels.tolist() == [line.category for line in lines]
        expected = [
            decode_image(house.client.image(line.image), (6, 7, 3), "pad") for line in lines
        ]
        np.testing.assert_array_equal(images, np.stack(expected))
        assert shard.examples == len(lines)


def test_a_large_split_has_several_shards_and_only_the_final_one_is_last(house: House) -> None:
    snapshot = house.frozen(each=20)
    order = house.ordered(snapshot, shape=(1024, 1024, 3), splits=["validation", "train"])
    house.work()
    found = shards(house, order.id)
    assert [(s.sequence, s.split, s.examples, s.last) for s in found] == [
        (1, "validation", 6, False),
        (2, "train", 10, False),
        (3, "train", 10, False),
        (4, "train", 8, True),
    ]


def test_a_shard_that_is_polled_twice_is_the_same_shard(house: House) -> None:
    order = house.ordered(house.frozen())
    house.work()
    assert house.client.next_shard(order.id, 1, 0.0) == house.client.next_shard(order.id, 1, 0.0)


def test_a_second_order_of_the_same_is_complete_at_once(house: House) -> None:
    snapshot = house.frozen()
    first = house.ordered(snapshot)
    house.work()
    second = house.ordered(snapshot)
    assert second.state == "complete"
    assert house.work() == 0
    assert [s.sha256 for s in shards(house, second.id)] == [
        s.sha256 for s in shards(house, first.id)
    ]


def test_orders_with_seeds_are_views_of_the_same_shards(house: House) -> None:
    snapshot = house.frozen(each=60)
    plain = house.ordered(snapshot, shape=(1024, 1024, 1))
    house.work()
    shared = [shard.sha256 for shard in shards(house, plain.id)]
    taken = {None: examples(house, plain.id)}
    for seed in (1, 2):
        order = house.ordered(snapshot, shape=(1024, 1024, 1), seed=seed)
        assert (order.state, order.request.seed) == ("complete", seed), "nothing is made again"
        view = shards(house, order.id)
        assert sorted(shard.sha256 for shard in view) == sorted(shared)
        assert [shard.split for shard in view] == [shard.split for shard in shards(house, plain.id)]
        taken[seed] = examples(house, order.id)
        again = house.ordered(snapshot, shape=(1024, 1024, 1), seed=seed)
        assert examples(house, again.id) == taken[seed]
    assert taken[None] == [
        (
            line.category,
            decode_image(house.client.image(line.image), (1024, 1024, 1), "fit").tobytes(),
        )
        for split in SPLITS
        for line in house.client.snapshot_images(snapshot.id, split)
    ]
    assert taken[1] != taken[2] != taken[None]
    assert sorted(taken[1]) == sorted(taken[2]) == sorted(taken[None]), "every example once"


def examples(house: House, order: str) -> list[tuple[int, bytes]]:
    """Return label and pixels of all examples of an order, in its order."""
    found = []
    for shard in shards(house, order):
        images, labels = house.client.examples(shard)
        found += [
            (int(label), image.tobytes()) for image, label in zip(images, labels, strict=True)
        ]
    return found


def test_the_same_plan_makes_the_same_bytes_in_another_house(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        house = open_house(tmp_path / name)
        order = house.ordered(house.frozen())
        house.work()
        found.append([shard.sha256 for shard in shards(house, order.id)])
    assert found[0] == found[1]


def test_a_long_poll_ends_when_the_shard_is_made(tmp_path: Path) -> None:
    house = open_house(tmp_path, SystemClock())
    order = house.ordered(house.frozen())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(house.client.next_shard, order.id, 0, 20.0)
        house.step()
        shard = waiting.result(timeout=20)
    assert shard is not None
    assert shard.sequence == 1


def test_with_no_free_slot_a_poll_is_answered_at_once(tmp_path: Path) -> None:
    house = open_house(tmp_path, SystemClock()).with_parts(waiting_slots=1)
    order = house.ordered(house.frozen())
    path = f"{BASE}/orders/{order.id}/shards/next?wait_s=20"
    with ThreadPoolExecutor(4) as pool:
        polls = [pool.submit(house.http.get, path) for _ in range(4)]
        # Three of them end although no shard is there; the fourth holds the only slot.
        first = list(islice(as_completed(polls, timeout=20), 3))
        assert [poll.result().status_code for poll in first] == [204, 204, 204]
        assert {poll.result().headers["Retry-After"] for poll in first} == {"1"}
        house.step()
        assert sorted(poll.result(timeout=20).status_code for poll in polls)[0] == 200


def test_a_wait_that_is_over_is_an_empty_answer_to_ask_again(house: House) -> None:
    order = house.ordered(house.frozen())
    reply = house.http.get(f"{BASE}/orders/{order.id}/shards/next?wait_s=1000")
    assert (reply.status_code, reply.content) == (204, b"")
    assert "Retry-After" not in reply.headers


def test_a_cancelled_order_is_gone_and_nothing_is_made_for_it(house: House) -> None:
    order = house.ordered(house.frozen())
    reply = house.http.delete(f"{BASE}/orders/{order.id}")
    assert (reply.status_code, reply.json()["state"]) == (200, "cancelled")
    house.work()
    with pytest.raises(GoneError, match="cancelled"):
        house.client.next_shard(order.id, 0, 0.0)
    assert list(house.platform.blobs.names("shards/")) == []


def test_an_image_that_is_gone_fails_the_order_with_the_reason(house: House) -> None:
    snapshot = house.frozen()
    line = next(house.client.snapshot_images(snapshot.id, "test"))
    data = house.platform.blobs.get(image_blob(line.image))
    house.platform.blobs.delete(image_blob(line.image))
    order = house.ordered(snapshot)
    house.work()
    state = house.client.order_state(order.id)
    assert state.state == "failed"
    assert state.reason == f"the bytes of image {line.image} are gone"
    with pytest.raises(ConflictError, match=line.image) as caught:
        house.client.next_shard(order.id, 0, 0.0)
    assert caught.value.kind == "order-failed"

    house.platform.blobs.put(image_blob(line.image), data)
    again = house.ordered(snapshot)
    house.work()
    assert house.client.order_state(again.id).state == "complete"


def test_a_task_that_comes_twice_does_its_work_once(house: House) -> None:
    order = house.ordered(house.frozen())
    house.ordered(house.client.snapshot(order.request.snapshot))
    assert house.work() == 6
    assert len(list(house.platform.blobs.names("shards/"))) == 3


def test_lost_tasks_are_sent_again(house: House) -> None:
    order = house.ordered(house.frozen())
    house.platform.queue.delete(SHARD_QUEUE)
    assert house.work() == 0
    house.platform.clock.sleep(121.0)
    assert house.work() == 3
    assert house.client.order_state(order.id).state == "complete"


def test_an_order_stands_while_the_queue_cannot_be_reached(house: House) -> None:
    queue = SilentQueue(house.platform.queue)
    cut_off = house.with_parts(queue=queue)
    order = cut_off.ordered(cut_off.frozen())
    assert order.state == "accepted"
    queue.reachable = True
    house.platform.clock.sleep(121.0)
    assert cut_off.work() == 3
    assert cut_off.client.order_state(order.id).state == "complete"


def test_tasks_that_could_not_be_sent_go_out_as_soon_as_the_queue_is_back(house: House) -> None:
    queue = SilentQueue(house.platform.queue)
    cut_off = house.with_parts(queue=queue)
    order = cut_off.ordered(cut_off.frozen())
    with pytest.raises(UnavailableError):
        cut_off.collector.step()
    queue.reachable = True
    house.platform.clock.sleep(16.0)  # until the next look, far from the next issue
    assert cut_off.work() == 3
    assert cut_off.client.order_state(order.id).state == "complete"


def test_a_queue_that_cannot_be_reached_is_named(house: House) -> None:
    queue = SilentQueue(house.platform.queue)
    cut_off = house.with_parts(queue=queue)
    ready = cut_off.http.get(f"{BASE}/readyz")
    assert ready.status_code == 503
    assert ready.json()["missing"] == {"queue": "the queue does not answer"}
    queue.reachable = True
    assert cut_off.http.get(f"{BASE}/readyz").json() == {"ready": True, "missing": {}}


def test_a_task_that_nobody_can_read_goes_to_the_dead_letters(house: House) -> None:
    bodies = [b"\xff", b"[]", b'{"shard": "1"}', b"{}", b'{"shard": 4711, "order": "x"}']
    house.platform.queue.publish(SHARD_QUEUE, bodies)
    assert house.work() == 5
    dead = 0
    while (delivery := house.platform.queue.receive(f"{SHARD_QUEUE}.dead", 0.0)) is not None:
        house.platform.queue.acknowledge(delivery)
        dead += 1
    assert dead == 4, "a shard that does not exist is just done"


class UnreadableBlobs(MemoryBlobs):
    """Fails for no reason that anybody foresaw."""

    def get(self, name: str) -> bytes:
        raise RuntimeError("nobody knows")


def test_a_shard_that_fails_time_and_again_fails_its_order(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["test"])
    broken = house.with_parts(UnreadableBlobs())
    for _ in range(5):
        with pytest.raises(RuntimeError, match="nobody knows"):
            broken.processor.step()
        assert house.client.order_state(order.id).state == "accepted"
        house.platform.clock.sleep(61.0)
    # With nothing more to do it looks at images: what fails then is no fault of shards.
    broken.work()
    state = house.client.order_state(order.id)
    assert (state.state, state.reason) == ("failed", "a shard could not be made in 5 attempts")
    assert house.work() == 0


def test_a_full_disk_makes_the_order_wait_and_not_fail(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["train"])
    blobs = MemoryBlobs()
    blobs.held = {name: house.platform.blobs.get(name) for name in house.platform.blobs.names()}
    blobs.room = 10
    full = house.with_parts(blobs)
    with pytest.raises(StorageFullError):
        full.processor.step()
    blobs.room = 1 << 20
    house.platform.clock.sleep(61.0)
    assert full.work() == 1
    assert full.client.order_state(order.id).state == "complete"


def test_the_processor_goes_on_whatever_fails(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["test"])
    queue = SilentQueue(house.platform.queue)
    processor = house.with_parts(queue=queue).processor
    looks = iter(range(12))

    def stopped() -> bool:
        look = next(looks)
        queue.reachable = look > 5
        return look > 10

    processor.run(stopped)
    house.collector.step()
    assert house.client.order_state(order.id).state == "complete"


def test_a_processor_that_is_asked_to_end_leaves_its_task_to_the_next(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["train"])
    assert house.processor.step(stopped=lambda: True)
    assert house.client.order_state(order.id).state == "accepted"
    # No lease has to run out first.
    assert create_batch_processor(house.settings, house.platform).step()
    house.collector.step()
    assert house.client.order_state(order.id).state == "complete"


def test_several_processors_make_every_shard_of_an_order(tmp_path: Path) -> None:
    house = open_house(tmp_path, SystemClock())
    order = house.ordered(house.frozen(each=30), shape=(1024, 1024, 1))
    processors = [create_batch_processor(house.settings, house.platform) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        worked = list(pool.map(_steps, processors))
    house.collector.step()
    assert sum(worked) == order.shards
    assert house.client.order_state(order.id).state == "complete"


def _steps(processor: BatchProcessor) -> int:
    count = 0
    while processor.step():
        count += 1
    return count


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": [0, 8, 1]},
        {"shape": [8, 8, 2]},
        {"shape": [8, 8, 2000]},
        {"splits": []},
        {"splits": ["dev"]},
        {"resize": "squeeze"},
        {"snapshot": "../../etc"},
        {"seed": -1},
        {"size": 3},
    ],
)
def test_a_wrong_order_is_refused(empty_house: House, wrong: dict[str, object]) -> None:
    right = {"snapshot": "0" * 64, "splits": ["train"], "shape": [8, 8, 1]}
    reply = empty_house.http.post(f"{BASE}/orders", json=right | wrong)
    assert (reply.status_code, reply.json()["type"]) == (400, "invalid-input")


def test_what_is_not_there_cannot_be_ordered_or_polled(house: House) -> None:
    request = OrderRequest(snapshot="0" * 64, splits=["train"], shape=(8, 8, 1))
    with pytest.raises(NotFoundError, match="no snapshot"):
        house.client.order(request)
    with pytest.raises(NotFoundError, match="no order"):
        house.client.order_state("none")
    with pytest.raises(NotFoundError, match="no order"):
        house.client.next_shard("none", 0, 0.0)
    with pytest.raises(NotFoundError, match="no shard"):
        house.client.shard("0" * 64)
    assert house.http.delete(f"{BASE}/orders/none").status_code == 404
    assert house.http.get(f"{BASE}/shards/..%2f..%2fqueue").status_code in {400, 404}


def test_an_order_of_an_empty_split_is_refused(house: House) -> None:
    snapshot = house.frozen(each=2)
    with pytest.raises(ConflictError, match="images in test") as caught:
        house.ordered(snapshot, splits=["test"])
    assert caught.value.kind == "empty-splits"


def test_polling_past_the_end_says_how_many_shards_there_are(house: House) -> None:
    order = house.ordered(house.frozen())
    with pytest.raises(NotFoundError, match="3"):
        house.client.next_shard(order.id, 3, 0.0)


def test_a_shard_may_be_kept_for_ever(house: House) -> None:
    order = house.ordered(house.frozen())
    house.work()
    shard = shards(house, order.id)[0]
    reply = house.http.get(f"{BASE}/shards/{shard.sha256}")
    assert "immutable" in reply.headers["Cache-Control"]
    assert hashlib.sha256(reply.content).hexdigest() == shard.sha256
