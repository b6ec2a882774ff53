"""How outcomes of shards come back, and what becomes of orders and shards when they are over."""

from collections.abc import Callable
from pathlib import Path

import pytest

from commons.adapters.clock import SystemClock
from commons.errors import GoneError, NotFoundError, StorageFullError, UnavailableError
from commons.messages import Order
from commons.ports import Delivery, Queue
from sensory_service.shard_messages import SHARD_QUEUE, ShardOutcome, order_queue
from tests.sensory_house import BASE, House, MemoryBlobs, open_house

WEEK_S = 7 * 24 * 3600.0


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def state(house: House, order: Order) -> str:
    return house.client.order_state(order.id).state


def stored(house: House) -> list[str]:
    return sorted(house.platform.blobs.names("shards/"))


def pass_time(house: House, seconds: float) -> None:
    house.platform.clock.sleep(seconds)
    house.collector.step()


def test_processors_only_say_what_became_of_a_shard_and_the_service_records_it(
    house: House,
) -> None:
    order = house.ordered(house.frozen(), splits=["train"])
    house.processor.step()
    assert (state(house, order), len(stored(house))) == ("accepted", 1)
    assert house.collector.step() == 1
    assert state(house, order) == "complete"


class LosingQueue:
    """Loses what it is told to acknowledge, as one whose receiver died a moment before."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.loses = True
        self.publish, self.receive = queue.publish, queue.receive
        self.reject, self.delete, self.release = queue.reject, queue.delete, queue.release

    def acknowledge(self, delivery: Delivery) -> None:
        if self.loses:
            raise UnavailableError("the queue does not answer")
        self._queue.acknowledge(delivery)


def test_an_outcome_that_was_recorded_and_not_acknowledged_comes_again(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["train", "test"])
    house.processor.step()
    queue = LosingQueue(house.platform.queue)
    collector = house.with_parts(queue=queue).collector
    with pytest.raises(UnavailableError):
        collector.step()
    assert state(house, order) == "running"
    queue.loses = False
    assert collector.step() == 1, "it was given back"
    house.work()
    assert state(house, order) == "complete"


def test_a_lost_outcome_is_asked_for_again(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["train"])
    house.processor.step()
    house.platform.queue.delete(order_queue(order.id))
    assert house.work() == 0
    house.platform.clock.sleep(121.0)
    assert house.work() == 1
    assert state(house, order) == "complete"


def test_an_outcome_that_nobody_can_read_is_dropped(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["train"])
    bodies = [b"\xff", b"{}", b'{"shard": 1, "sha256": "../../etc"}', b'{"shard": "1"}']
    house.platform.queue.publish(order_queue(order.id), bodies)
    assert house.collector.step() == len(bodies)
    assert house.collector.step() == 0
    house.work()
    assert state(house, order) == "complete"


def test_what_was_made_for_one_order_is_there_for_all(house: House) -> None:
    snapshot = house.frozen()
    first = house.ordered(snapshot, splits=["train"])
    second = house.ordered(snapshot, splits=["train"])
    house.processor.step()
    house.collector.step()
    assert (state(house, first), state(house, second)) == ("complete", "complete")
    assert house.work() == 1, "the other task finds it made"


@pytest.mark.parametrize("how", ["completed", "cancelled"])
def test_the_queue_of_an_order_goes_with_it(house: House, how: str) -> None:
    order = house.ordered(house.frozen(), splits=["train"])
    house.collector.step()
    if how == "completed":
        house.work()
    else:
        house.client.cancel_order(order.id)
    late = ShardOutcome(shard=1, sha256="0" * 64).model_dump_json().encode()
    queue = house.platform.queue
    if how == "cancelled":
        queue.publish(order_queue(order.id), [late])
    house.collector.step()
    assert queue.receive(order_queue(order.id), 0.0) is None


def test_a_collector_goes_on_whatever_fails(tmp_path: Path) -> None:
    house = open_house(tmp_path, SystemClock())
    order = house.ordered(house.frozen(), splits=["train"])
    house.processor.step()
    queue = LosingQueue(house.platform.queue)
    collector = house.with_parts(queue=queue, reconcile_every_s=0.01).collector
    looks = iter(range(30))

    def stopped() -> bool:
        look = next(looks)
        queue.loses = look < 3
        return look > 5

    collector.run(stopped)
    assert state(house, order) == "complete"


def test_an_order_says_when_it_expires_and_is_gone_then(house: House) -> None:
    order = house.ordered(house.frozen())
    assert order.expires == pytest.approx(house.platform.clock.now() + WEEK_S)
    house.work()
    pass_time(house, WEEK_S - 60.0)
    assert state(house, order) == "complete"
    pass_time(house, 60.0)
    assert state(house, order) == "expired"
    reply = house.http.get(f"{BASE}/orders/{order.id}/shards/next?after=0")
    assert (reply.status_code, reply.json()["type"]) == (410, "order-expired")
    with pytest.raises(GoneError, match="place it again"):
        house.client.next_shard(order.id, 0, 0.0)
    pass_time(house, WEEK_S)
    with pytest.raises(NotFoundError):
        house.client.order_state(order.id)


def test_an_expired_order_is_made_anew_for_who_places_it_again(house: House) -> None:
    snapshot = house.frozen()
    house.ordered(snapshot)
    house.work()
    made = stored(house)
    assert len(made) == 3
    pass_time(house, WEEK_S)
    assert stored(house) == []
    again = house.ordered(snapshot)
    assert (again.state, house.work()) == ("accepted", 3)
    assert (state(house, again), stored(house)) == ("complete", made)


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_shards_are_kept_for_whoever_else_ordered_them(house: House, end: str) -> None:
    snapshot = house.frozen()
    first = house.ordered(snapshot)
    house.work()
    house.platform.clock.sleep(3600.0)
    second = house.ordered(snapshot, splits=["test"])
    if end == "cancelled":
        house.client.cancel_order(first.id)
        pass_time(house, 15.0)
    else:
        pass_time(house, WEEK_S - 3600.0)
    assert (state(house, first), state(house, second)) == (end, "complete")
    shard = house.client.next_shard(second.id, 0, 0.0)
    assert shard is not None
    assert stored(house) == [f"shards/{shard.sha256[:2]}/{shard.sha256}"]


def test_a_failed_order_leaves_no_shards(house: House) -> None:
    snapshot = house.frozen()
    order = house.ordered(snapshot)
    line = next(house.client.snapshot_images(snapshot.id, "test"))
    house.http.delete(f"{BASE}/images/{line.image}")
    house.work()
    assert state(house, order) == "failed"
    pass_time(house, 15.0)
    assert stored(house) == []


class UndeletableBlobs(MemoryBlobs):
    """Cannot delete while `stuck`."""

    stuck = True

    def delete(self, name: str) -> None:
        if self.stuck:
            raise UnavailableError("the storage does not answer")
        super().delete(name)


def test_clearing_that_was_interrupted_is_done_later(house: House) -> None:
    blobs = UndeletableBlobs()
    stuck = house.with_parts(blobs)
    order = stuck.ordered(stuck.frozen())
    stuck.work()
    stuck.client.cancel_order(order.id)
    stuck.platform.clock.sleep(15.0)
    with pytest.raises(UnavailableError):
        stuck.collector.step()
    assert len(stored(stuck)) == 3
    blobs.stuck = False
    pass_time(stuck, 15.0)
    assert stored(stuck) == []


def test_a_shard_that_was_cleared_before_it_was_recorded_is_made_again(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["train"])
    house.processor.step()
    (name,) = stored(house)
    house.platform.blobs.delete(name)
    house.collector.step()
    assert state(house, order) == "accepted"
    pass_time(house, 15.0)
    house.work()
    assert (state(house, order), stored(house)) == ("complete", [name])


def test_an_erasure_takes_shards_with_it_that_wait_to_be_recorded(house: House) -> None:
    snapshot = house.frozen()
    order = house.ordered(snapshot, splits=["train"])
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    house.processor.step()
    assert len(stored(house)) == 1
    house.http.delete(f"{BASE}/images/{line.image}")
    assert stored(house) == []
    house.work()
    failed = house.client.order_state(order.id)
    assert (failed.state, line.image in str(failed.reason)) == ("failed", True)


def test_shards_that_nobody_recorded_are_swept_up_when_they_are_old(house: House) -> None:
    blobs = MemoryBlobs()
    lost = house.with_parts(blobs)
    order = lost.ordered(lost.frozen())
    lost.processor.step()
    (name,) = stored(lost)
    lost.client.cancel_order(order.id)
    blobs.stored[name] = lost.platform.clock.now()
    lost.collector.step()
    assert stored(lost) == [name], "somebody may be about to record it"
    kept = lost.ordered(lost.client.snapshot(order.request.snapshot), splits=["train"])
    lost.work()
    cancelled = lost.ordered(lost.client.snapshot(order.request.snapshot), splits=["test"])
    lost.processor.step()
    lost.client.cancel_order(cancelled.id)
    for one in stored(lost):
        blobs.stored[one] = lost.platform.clock.now()
    assert len(stored(lost)) == 2
    pass_time(lost, 3601.0)
    shard = lost.client.next_shard(kept.id, 0, 0.0)
    assert shard is not None
    assert stored(lost) == [f"shards/{shard.sha256[:2]}/{shard.sha256}"]


def test_a_sweep_goes_on_where_another_process_was_faster(house: House) -> None:
    blobs = MemoryBlobs()
    swept = house.with_parts(blobs)
    for number in range(4):
        name = f"shards/00/{number:064x}"
        blobs.put(name, b"nobody's")
        blobs.stored[name] = 0.0
    listed = [*stored(swept), "shards/00/" + "f" * 64]
    blobs.names = lambda _prefix="": iter(listed[::-1])  # type: ignore[method-assign]
    blobs.stored.pop(listed[-1], None)
    swept.collector.step()
    assert blobs.held == {}


def test_who_orders_again_what_was_given_up_gets_it(house: House) -> None:
    snapshot = house.frozen()
    first = house.ordered(snapshot)
    house.client.cancel_order(first.id)
    pass_time(house, 15.0)
    house.platform.queue.delete(SHARD_QUEUE)
    again = house.ordered(snapshot)
    house.platform.queue.delete(SHARD_QUEUE)
    house.collector.step()
    house.platform.clock.sleep(121.0)
    assert house.work() == 3
    assert state(house, again) == "complete"


def test_a_full_disk_keeps_the_outcome_for_later(house: House) -> None:
    order = house.ordered(house.frozen(), splits=["train"])
    house.processor.step()
    record = house.collector._shards.record

    def full(*_: object) -> None:
        raise StorageFullError("no space is left")

    set_record(house, full)
    with pytest.raises(StorageFullError):
        house.collector.step()
    set_record(house, record)
    house.collector.step()
    assert state(house, order) == "complete"


def set_record(house: House, record: Callable[..., None]) -> None:
    house.collector._shards.record = record  # type: ignore[method-assign]
