"""Batch orders on RabbitMQ and PostgreSQL, while everything dies that can.

Whatever happens, an order gives every example exactly once, in the order of its manifest: each
test ends by comparing all pixels and labels of all its shards with the images themselves.
"""

import io
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.decode import decode_image
from commons.adapters.rabbit_queue import RabbitQueue
from commons.errors import UnavailableError
from commons.messages import Order, Snapshot
from commons.ports import Delivery, Queue
from sensory_service.app import Settings, create_batch_processor, create_platform
from sensory_service.shard_tasks import SHARD_QUEUE
from tests.sensory_house import BASE, House, build_house
from tests.servers import Postgres, Rabbit, started_rabbit

pytestmark = pytest.mark.integration

FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"
SHAPE = (1024, 1024, 3)  # ten examples a shard: many shards of few images
IMAGES = 140 if FULL else 90
KILLS = 25 if FULL else 3
OUTAGE_S = 60.0 if FULL else 3.0
LONGEST_S = 300.0
# RabbitMQ 3.10 loses a quorum queue that is killed in the second after its making.
QUEUE_SETTLES_S = 2.0


@dataclass(frozen=True)
class Cluster:
    """A house on real servers, and processors as processes of their own."""

    house: House
    settings: Settings
    folder: Path
    started: list[subprocess.Popen[bytes]]

    def start_processor(self) -> subprocess.Popen[bytes]:
        settings = self.settings
        environ = {
            "DICEBOX_DATA": str(settings.data),
            "DICEBOX_DATABASE_URL": settings.database_url or "",
            "DICEBOX_BROKER_URL": settings.broker_url or "",
            "DICEBOX_REISSUE_AFTER_S": str(settings.reissue_after_s),
            "DICEBOX_RECONCILE_EVERY_S": str(settings.reconcile_every_s),
            "DICEBOX_DECODE_THREADS": "1",
        }
        with (self.folder / "processors.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sensory_service.batch_processor"],
                env={**os.environ, **environ},
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def wait_for(self, order: Order, ready: int) -> Order:
        """Return the order once that many shards are ready."""
        deadline = time.monotonic() + LONGEST_S
        while (now := self.house.client.order_state(order.id)).ready < ready:
            assert now.state in ("accepted", "running"), now
            assert time.monotonic() < deadline, (now, self._log())
            time.sleep(0.05)
        return now

    def _log(self) -> str:
        return (self.folder / "processors.log").read_text(errors="replace")[-4000:]


@contextmanager
def opened_cluster(folder: Path, broker_url: str, database_url: str) -> Iterator[Cluster]:
    settings = Settings(
        data=folder,
        database_url=database_url,
        broker_url=broker_url,
        reissue_after_s=3.0,
        reconcile_every_s=0.5,
    )
    platform = create_platform(settings, SystemClock())
    # The house itself keeps its keys in the folder: nobody could close their database else.
    house = build_house(settings.model_copy(update={"database_url": None}), platform)
    cluster = Cluster(house, settings, folder, [])
    try:
        yield cluster
    finally:
        for process in cluster.started:
            process.kill()
            process.wait()
        platform.queue.close()  # type: ignore[attr-defined]
        platform.database.dispose()


@pytest.fixture
def cluster(rabbit: Rabbit, postgres: Postgres, tmp_path: Path) -> Iterator[Cluster]:
    with opened_cluster(tmp_path, rabbit.url, postgres.new_database()) as cluster:
        cluster.house.platform.queue.delete(SHARD_QUEUE)
        yield cluster


def check_every_example_once(house: House, snapshot: Snapshot, order: Order) -> None:
    """Compare all shards of a complete order with the manifest and the images."""
    lines = [
        line
        for split in ("train", "validation", "test")
        for line in house.client.snapshot_images(snapshot.id, split)
    ]
    assert len(lines) == order.examples
    position = sequence = 0
    last = False
    while not last:
        shard = house.client.next_shard(order.id, sequence, 0.0)
        assert shard is not None
        sequence, last = sequence + 1, shard.last
        assert shard.sequence == sequence
        expected = lines[position : position + shard.examples]
        position += shard.examples
        data = io.BytesIO(house.client.shard(shard.sha256))
        with np.load(data, allow_pickle=False) as arrays:
            assert arrays["labels"].tolist() == [line.category for line in expected]
            for pixels, line in zip(arrays["images"], expected, strict=True):
                image = house.client.image(line.image)
                np.testing.assert_array_equal(pixels, decode_image(image, SHAPE, "fit"))
    assert (position, sequence) == (len(lines), order.shards)


def placed(cluster: Cluster) -> tuple[Snapshot, Order]:
    snapshot = cluster.house.frozen(each=IMAGES // 2)
    return snapshot, cluster.house.ordered(snapshot, shape=SHAPE)


def test_an_order_completes_though_its_queue_is_deleted_time_and_again(cluster: Cluster) -> None:
    snapshot, order = placed(cluster)
    cluster.start_processor()
    for ready in range(KILLS):
        cluster.wait_for(order, min(ready, order.shards))
        cluster.house.platform.queue.delete(SHARD_QUEUE)
        cluster.house.platform.queue.delete(f"{SHARD_QUEUE}.dead")
    order = cluster.wait_for(order, order.shards)
    check_every_example_once(cluster.house, snapshot, order)
    print(f"queues deleted {KILLS} times")


def test_an_order_completes_though_processors_are_killed(cluster: Cluster) -> None:
    snapshot, order = placed(cluster)
    chance = random.Random(0)
    for number in range(KILLS):
        # Not before it works: else the test would kill Python's start and nothing more.
        process = cluster.start_processor()
        cluster.wait_for(order, min(number, order.shards - 1))
        time.sleep(chance.uniform(0.0, 0.5))
        process.kill()
    cluster.start_processor()
    order = cluster.wait_for(order, order.shards)
    check_every_example_once(cluster.house, snapshot, order)
    print(f"processors killed {KILLS} times")


def test_an_order_waits_for_the_broker_at_the_start_and_in_the_middle(
    postgres: Postgres, tmp_path: Path
) -> None:
    with started_rabbit() as broker, ExitStack() as stack:
        broker.kill()
        cluster = stack.enter_context(opened_cluster(tmp_path, broker.url, postgres.new_database()))
        http = cluster.house.http
        snapshot, order = placed(cluster)
        assert order.state == "accepted"
        assert "queue" in readyz(http)["missing"]
        cluster.start_processor()
        broker.start()
        until(lambda: readyz(http)["ready"])
        cluster.wait_for(order, 1)
        time.sleep(QUEUE_SETTLES_S)
        broker.kill()
        assert "queue" in readyz(http)["missing"]
        time.sleep(OUTAGE_S)
        broker.start()
        order = cluster.wait_for(order, order.shards)
        until(lambda: readyz(http)["ready"])
        check_every_example_once(cluster.house, snapshot, order)


def readyz(http: httpx.Client) -> dict[str, object]:
    answer: dict[str, object] = http.get(f"{BASE}/readyz").json()
    return answer


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class DoublingQueue:
    """Delivers everything twice, in an order of its own."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._chance = random.Random(0)

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        twice = [*bodies, *bodies]
        self._chance.shuffle(twice)
        self._queue.publish(queue, twice)

    def receive(self, queue: str, timeout_s: float) -> Delivery | None:
        return self._queue.receive(queue, timeout_s)

    def acknowledge(self, delivery: Delivery) -> None:
        self._queue.acknowledge(delivery)

    def reject(self, delivery: Delivery) -> None:
        self._queue.reject(delivery)

    def delete(self, queue: str) -> None:
        self._queue.delete(queue)


def test_messages_that_come_twice_and_shuffled_give_the_same_order(cluster: Cluster) -> None:
    house = cluster.house.with_parts(queue=DoublingQueue(cluster.house.platform.queue))
    snapshot = house.frozen(each=IMAGES // 2)
    order = house.ordered(snapshot, shape=SHAPE)
    done = threading.Event()
    workers = [
        threading.Thread(
            target=create_batch_processor(house.settings, house.platform).run, args=(done.is_set,)
        )
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    try:
        order = cluster.wait_for(order, order.shards)
        until(lambda: house.platform.queue.receive(SHARD_QUEUE, 0.0) is None)
    finally:
        done.set()
        for worker in workers:
            worker.join()
    check_every_example_once(house, snapshot, order)


def test_a_process_whose_broker_is_unknown_says_so_and_stays(cluster: Cluster) -> None:
    queue = RabbitQueue("amqp://guest:wrong@127.0.0.1:1/%2F", SystemClock())
    house = cluster.house.with_parts(queue=queue)
    with pytest.raises(UnavailableError):
        queue.publish(SHARD_QUEUE, [])
    assert list(readyz(house.http)["missing"]) == ["queue"]  # type: ignore[call-overload]
    queue.close()
