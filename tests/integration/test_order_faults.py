"""Batch orders on RabbitMQ and PostgreSQL, while everything dies that can.

Whatever happens, an order gives every example exactly once, in the order of its manifest: each
test ends by comparing all pixels and labels of all its shards with the images themselves.
"""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.rabbit_queue import RabbitQueue
from commons.adapters.services import Caller, SensoryClient
from commons.errors import UnavailableError
from commons.messages import Order
from commons.ports import Delivery, Queue
from sensory_service.app import create_batch_processor
from sensory_service.shard_messages import SHARD_QUEUE, order_queue
from tests.clusters import (
    FULL,
    IMAGES,
    LONGEST_S,
    SHAPE,
    Cluster,
    check_every_example_once,
    kill_group,
    opened_cluster,
    placed,
    readyz,
    until,
)
from tests.sensory_house import BASE
from tests.servers import Postgres, Rabbit, free_port, started_postgres, started_rabbit

pytestmark = pytest.mark.integration

Process = subprocess.Popen[bytes]

KILLS = 25 if FULL else 3
# It takes seconds to start again.
BROKER_KILLS = 10 if FULL else 2
OUTAGE_S = 60.0 if FULL else 3.0
# RabbitMQ 3.10 loses a quorum queue that is killed in the second after its making.
QUEUE_SETTLES_S = 2.0


@pytest.fixture
def cluster(rabbit: Rabbit, postgres: Postgres, tmp_path: Path) -> Iterator[Cluster]:
    with opened_cluster(tmp_path, rabbit.url, postgres.new_database()) as cluster:
        cluster.house.platform.queue.delete(SHARD_QUEUE)
        yield cluster


def test_an_order_completes_though_its_queues_are_deleted_or_emptied_time_and_again(
    cluster: Cluster, tell: Callable[[str], None]
) -> None:
    snapshot, order = placed(cluster)
    cluster.start_processor()
    for ready in range(KILLS):
        cluster.wait_for(order, min(ready, order.shards))
        for name in (SHARD_QUEUE, f"{SHARD_QUEUE}.dead", order_queue(order.id)):
            if ready % 2:
                empty(cluster.house.platform.queue, name)
            else:
                cluster.house.platform.queue.delete(name)
    order = cluster.wait_for(order, order.shards)
    check_every_example_once(cluster.house.client, snapshot, order)
    tell(f"queues deleted or emptied {KILLS} times, {told(order)}")


def empty(queue: Queue, name: str) -> None:
    while (delivery := queue.receive(name, 0.0)) is not None:
        queue.acknowledge(delivery)


def test_what_became_of_an_orders_shards_waits_while_nobody_collects(
    cluster: Cluster, tell: Callable[[str], None]
) -> None:
    cluster.stop_collecting()
    snapshot, order = placed(cluster)
    cluster.start_processor()
    until(lambda: len(list(cluster.house.platform.blobs.names("shards/"))) == order.shards)
    assert cluster.house.client.order_state(order.id).ready == 0
    port = free_port()
    cluster.start_service(port)
    order = cluster.wait_for(order, order.shards)
    check_every_example_once(cluster.house.client, snapshot, order)
    until(lambda: cluster.house.platform.queue.receive(order_queue(order.id), 0.0) is None)
    tell(f"outcomes waited for the service, {told(order)}")


def test_an_order_completes_though_processors_are_killed(
    cluster: Cluster, tell: Callable[[str], None]
) -> None:
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
    check_every_example_once(cluster.house.client, snapshot, order)
    tell(f"processors killed {KILLS} times, {told(order)}")


def told(order: Order) -> str:
    return f"{order.examples} examples in {order.shards} shards each exactly once, in order"


def test_an_order_completes_though_the_service_is_killed(
    cluster: Cluster, tell: Callable[[str], None]
) -> None:
    snapshot, order = placed(cluster)
    port = free_port()
    serving = [cluster.start_service(port)]
    cluster.start_processor()
    done = threading.Event()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        caller = Caller(http, patience_s=LONGEST_S)
        caller.call("GET", f"{BASE}/healthz")
        killer = threading.Thread(target=kill_service, args=(cluster, port, serving, done))
        killer.start()
        try:
            while killer.is_alive():
                check_every_example_once(SensoryClient(caller), snapshot, order)
        finally:
            done.set()
            killer.join()
    assert len(serving) == KILLS + 1
    tell(f"service killed {KILLS} times, {told(order)}")


def kill_service(
    cluster: Cluster, port: int, serving: list[Process], done: threading.Event
) -> None:
    """Kill the service, time and again, soon after it answers."""
    chance = random.Random(0)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        for _ in range(KILLS):
            Caller(http, patience_s=LONGEST_S).call("GET", f"{BASE}/healthz")
            if done.wait(chance.uniform(0.0, 0.5)):
                return
            kill_group(serving[-1])
            serving.append(cluster.start_service(port))


def test_an_order_completes_though_the_database_is_killed(
    rabbit: Rabbit, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    with started_postgres() as tables, ExitStack() as stack:
        cluster = stack.enter_context(opened_cluster(tmp_path, rabbit.url, tables.new_database()))
        cluster.house.platform.queue.delete(SHARD_QUEUE)
        snapshot, order = placed(cluster)
        cluster.start_processor()
        chance = random.Random(0)
        for number in range(KILLS):
            # Not before the processor works: one that starts without tables gives up at once.
            cluster.wait_for(order, min(number + 1, order.shards - 1))
            time.sleep(chance.uniform(0.0, 0.5))
            tables.kill()
            assert "tables" in readyz(cluster.house.http)["missing"]
            tables.start()
        order = cluster.wait_for(order, order.shards)
        until(lambda: readyz(cluster.house.http)["ready"])
        check_every_example_once(cluster.house.client, snapshot, order)
        tell(f"database killed {KILLS} times, {told(order)}")


def test_an_order_waits_for_the_broker_at_the_start_and_in_the_middle(
    postgres: Postgres, tmp_path: Path, tell: Callable[[str], None]
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
        check_every_example_once(cluster.house.client, snapshot, order)
        tell(f"broker down at the start and for {OUTAGE_S:.0f} s, {told(order)}")


def test_orders_complete_though_the_broker_is_killed_in_the_middle_of_each(
    postgres: Postgres, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    with started_rabbit() as broker, ExitStack() as stack:
        cluster = stack.enter_context(opened_cluster(tmp_path, broker.url, postgres.new_database()))
        house = cluster.house
        chance = random.Random(0)
        in_the_middle = examples = 0
        for number in range(BROKER_KILLS):
            snapshot = house.frozen(f"pets-{number}", each=IMAGES // 2)
            order = house.ordered(snapshot, shape=SHAPE)
            if number == 0:
                time.sleep(QUEUE_SETTLES_S)
                cluster.start_processor()
            cluster.wait_for(order, 1 + number % (order.shards // 2))
            broker.kill()
            in_the_middle += house.client.order_state(order.id).ready < order.shards
            assert "queue" in readyz(house.http)["missing"]
            time.sleep(chance.uniform(0.0, 1.0))
            broker.start()
            order = cluster.wait_for(order, order.shards)
            until(lambda: readyz(house.http)["ready"])
            check_every_example_once(house.client, snapshot, order)
            examples += order.examples
        assert in_the_middle
        tell(
            f"broker killed {BROKER_KILLS} times, {in_the_middle} of them in the middle of an "
            f"order: {examples} examples each exactly once, in order"
        )


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

    def release(self, delivery: Delivery) -> None:
        self._queue.release(delivery)

    def reject(self, delivery: Delivery) -> None:
        self._queue.reject(delivery)

    def delete(self, queue: str) -> None:
        self._queue.delete(queue)


def test_messages_that_come_twice_and_shuffled_give_the_same_order(
    cluster: Cluster, tell: Callable[[str], None]
) -> None:
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
    check_every_example_once(house.client, snapshot, order)
    tell(f"every message delivered twice and shuffled, {told(order)}")


def test_a_process_whose_broker_is_unknown_says_so_and_stays(cluster: Cluster) -> None:
    queue = RabbitQueue("amqp://guest:wrong@127.0.0.1:1/%2F", SystemClock())
    house = cluster.house.with_parts(queue=queue)
    with pytest.raises(UnavailableError):
        queue.publish(SHARD_QUEUE, [])
    assert list(readyz(house.http)["missing"]) == ["queue"]  # type: ignore[call-overload]
    queue.close()
