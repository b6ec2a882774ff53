"""What only a broker can do to its queue: end, come back, be silent, and be used by others."""

import time
from collections.abc import Callable, Iterator

import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.rabbit_queue import RabbitQueue
from commons.errors import InvalidInputError, UnavailableError
from tests.servers import Rabbit, free_port, started_rabbit

pytestmark = pytest.mark.integration


@pytest.fixture
def queues(rabbit: Rabbit) -> Iterator[Callable[..., RabbitQueue]]:
    """Return a function that makes a queue as another process would."""
    made: list[RabbitQueue] = []

    def make(**options: int) -> RabbitQueue:
        made.append(RabbitQueue(rabbit.url, SystemClock(), **options))
        return made[-1]

    for name in ("work", "work.dead"):
        make().delete(name)
    yield make
    for queue in made:
        queue.close()


def test_what_one_process_holds_no_other_gets_until_it_ends(
    queues: Callable[..., RabbitQueue],
) -> None:
    one, other = queues(), queues()
    one.publish("work", [b"1"])
    assert one.receive("work", 5.0) is not None
    assert other.receive("work", 0.5) is None
    one.close()
    delivery = other.receive("work", 5.0)
    assert delivery is not None
    assert (delivery.body, delivery.attempt) == (b"1", 2)


def test_heartbeats_are_answered_while_the_work_takes_long(
    queues: Callable[..., RabbitQueue],
) -> None:
    queue = queues(heartbeat_s=1)
    queue.publish("work", [b"1"])
    delivery = queue.receive("work", 5.0)
    assert delivery is not None
    time.sleep(5.0)  # the work: the broker would give up a silent peer after two seconds
    queue.acknowledge(delivery)
    queue.close()
    assert queue.receive("work", 0.5) is None


def test_a_queue_that_others_delete_is_there_again_at_the_next_use(
    queues: Callable[..., RabbitQueue],
) -> None:
    queue, other = queues(), queues()
    queue.publish("work", [b"1"])
    held = queue.receive("work", 5.0)
    assert held is not None
    other.delete("work")
    queue.acknowledge(held)
    assert queue.receive("work", 0.2) is None
    other.delete("work")
    other.delete("work.dead")
    queue.publish("work", [b"2"])
    delivery = queue.receive("work", 5.0)
    assert delivery is not None
    assert delivery.body == b"2"
    other.delete("work.dead")
    queue.reject(delivery)
    dead = queue.receive("work.dead", 5.0)
    assert dead is not None
    assert dead.body == b"2"


def test_one_who_sees_the_queue_otherwise_is_told_so_and_disturbs_nobody(
    queues: Callable[..., RabbitQueue],
) -> None:
    queue, other = queues(attempts=20), queues(attempts=3)
    queue.publish("work", [b"1"])
    with pytest.raises(UnavailableError, match="x-delivery-limit"):
        other.publish("work", [b"2"])
    with pytest.raises(UnavailableError, match="x-delivery-limit"):
        other.receive("work", 0.0)
    assert queue.receive("work", 5.0) is not None


def test_messages_survive_a_broker_that_is_killed_and_work_goes_on_by_itself() -> None:
    with started_rabbit() as broker:
        queue = RabbitQueue(broker.url, SystemClock())
        queue.publish("work", [b"held", b"waiting"])
        held = queue.receive("work", 5.0)
        assert held is not None
        # RabbitMQ 3.10 loses a quorum queue that is killed in the second after its making
        # (rabbitmq-server issue 10070), and nothing outside says when that is over.
        time.sleep(2.0)
        broker.kill()
        for use in (lambda: queue.publish("work", [b"lost"]), lambda: queue.receive("work", 1.0)):
            with pytest.raises(UnavailableError, match=r"127\.0\.0\.1|does not answer"):
                use()
        broker.start()
        found = {}
        deadline = time.monotonic() + 60.0
        while len(found) < 2 and time.monotonic() < deadline:
            try:
                queue.acknowledge(held)  # of a connection that is no more: harmless
                delivery = queue.receive("work", 1.0)
            except UnavailableError:
                time.sleep(0.1)
                continue
            if delivery is not None:
                found[delivery.body] = delivery.attempt
                queue.acknowledge(delivery)
        assert set(found) == {b"held", b"waiting"}
        queue.close()


def test_no_broker_is_said_with_its_address_and_without_its_password() -> None:
    port = free_port()
    queue = RabbitQueue(f"amqp://me:hidden@127.0.0.1:{port}/%2F", SystemClock())
    for use in (lambda: queue.publish("work", []), lambda: queue.receive("work", 0.0)):
        with pytest.raises(UnavailableError, match=f"127.0.0.1:{port}.*refused") as caught:
            use()
        assert "hidden" not in str(caught.value)
    with pytest.raises(UnavailableError) as again:
        queue.publish("work", [b"1"])
    assert again.value.retry_after_s <= 5.0
    queue.close()


@pytest.mark.parametrize("url", ["http://host", "host:5672", "amqp://host:port", ""])
def test_an_address_that_is_no_brokers_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="amqp://"):
        RabbitQueue(url, SystemClock())
