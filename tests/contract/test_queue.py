"""What every queue promises; further queues join `cases`."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from commons.adapters.database import create_database, sqlite_url
from commons.adapters.table_queue import TableQueue
from commons.ports import Queue
from tests.sensory_house import ManualClock

ATTEMPTS = 3


@dataclass(frozen=True)
class Case:
    """A queue whose messages go to the dead letters after `ATTEMPTS` deliveries.

    `forget` makes what was delivered and not answered come again, as if its receiver died.
    """

    queue: Queue
    forget: Callable[[], None]


def table_case(folder: Path) -> Iterator[Case]:
    database = create_database(sqlite_url(folder / "queue.sqlite3"))
    clock = ManualClock()
    queue = TableQueue(database, clock, lease_s=60.0, attempts=ATTEMPTS)
    queue.create_tables()
    yield Case(queue, lambda: clock.sleep(61.0))
    database.dispose()


cases = {"table": table_case}


@pytest.fixture(params=cases)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    yield from cases[request.param](tmp_path)


@pytest.fixture
def queue(case: Case) -> Queue:
    return case.queue


def bodies(queue: Queue, name: str) -> list[bytes]:
    found = []
    while (delivery := queue.receive(name, 0.0)) is not None:
        found.append(delivery.body)
        queue.acknowledge(delivery)
    return found


def test_messages_come_in_the_order_they_were_published(queue: Queue) -> None:
    queue.publish("work", [b"1", b"2"])
    queue.publish("work", [b"3"])
    assert bodies(queue, "work") == [b"1", b"2", b"3"]


def test_an_empty_queue_gives_nothing_after_the_timeout(queue: Queue) -> None:
    assert queue.receive("work", 0.2) is None


def test_queues_do_not_mix(queue: Queue) -> None:
    queue.publish("work", [b"1"])
    queue.publish("play", [b"2"])
    assert bodies(queue, "play") == [b"2"]
    assert bodies(queue, "work") == [b"1"]


def test_publishing_nothing_is_no_error(queue: Queue) -> None:
    queue.publish("work", [])
    assert bodies(queue, "work") == []


def test_a_delivered_message_is_not_delivered_to_another_receiver(queue: Queue) -> None:
    queue.publish("work", [b"1"])
    assert queue.receive("work", 0.0) is not None
    assert queue.receive("work", 0.0) is None


def test_an_acknowledged_message_never_comes_again(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    delivery = case.queue.receive("work", 0.0)
    assert delivery is not None
    case.queue.acknowledge(delivery)
    case.forget()
    assert case.queue.receive("work", 0.0) is None


def test_a_message_whose_receiver_died_comes_again_and_counts_the_attempts(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    first = case.queue.receive("work", 0.0)
    case.forget()
    second = case.queue.receive("work", 0.0)
    assert first is not None
    assert second is not None
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.body == b"1"


def test_a_late_acknowledgement_does_not_take_a_message_from_its_new_receiver(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    late = case.queue.receive("work", 0.0)
    case.forget()
    assert case.queue.receive("work", 0.0) is not None
    assert late is not None
    case.queue.acknowledge(late)
    case.forget()
    assert case.queue.receive("work", 0.0) is not None


def test_a_message_that_came_too_often_goes_to_the_dead_letters(case: Case) -> None:
    case.queue.publish("work", [b"poison", b"good"])
    for _ in range(ATTEMPTS):
        delivery = case.queue.receive("work", 0.0)
        assert delivery is not None
        assert delivery.body == b"poison"
        case.forget()
    assert bodies(case.queue, "work") == [b"good"]
    assert bodies(case.queue, "work.dead") == [b"poison"]


def test_a_rejected_message_goes_to_the_dead_letters_at_once(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    delivery = case.queue.receive("work", 0.0)
    assert delivery is not None
    case.queue.reject(delivery)
    case.forget()
    assert bodies(case.queue, "work") == []
    assert bodies(case.queue, "work.dead") == [b"1"]


def test_deleting_a_queue_removes_its_messages_and_no_others(queue: Queue) -> None:
    queue.publish("work", [b"1"])
    queue.publish("play", [b"2"])
    queue.delete("work")
    queue.delete("never used")
    assert bodies(queue, "work") == []
    assert bodies(queue, "play") == [b"2"]


def test_many_receivers_share_the_messages_and_none_comes_twice(queue: Queue) -> None:
    sent = [b"%d" % number for number in range(60)]
    queue.publish("work", sent)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: bodies(queue, "work"), range(4)))
    assert sorted(chain.from_iterable(parts)) == sorted(sent)


def test_messages_survive_the_process_that_published_them(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "queue.sqlite3")
    database = create_database(url)
    queue = TableQueue(database, ManualClock())
    queue.create_tables()
    queue.publish("work", [b"1"])
    database.dispose()
    reopened = create_database(url)
    assert bodies(TableQueue(reopened, ManualClock()), "work") == [b"1"]
    reopened.dispose()
