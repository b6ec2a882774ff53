"""What every queue promises; further queues join `cases`."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.rabbit_queue import RabbitQueue
from commons.adapters.table_queue import TableQueue
from commons.ports import Delivery, Queue
from tests.databases import postgres, sqlite
from tests.sensory_house import ManualClock

ATTEMPTS = 3
BRIEF = "brief."  # queues of such names expire
Database = Callable[[pytest.FixtureRequest], str]


@dataclass(frozen=True)
class Case:
    """A queue whose messages go to the dead letters after `ATTEMPTS` deliveries.

    `forget` makes what was delivered and not answered come again, as if its receiver died;
    within `soon_s` seconds it is there. `expire` lets the time pass that `EXPIRING` says.
    """

    queue: Queue
    forget: Callable[[], None]
    expire: Callable[[], None]
    soon_s: float = 0.0

    def receive(self, name: str) -> Delivery:
        delivery = self.queue.receive(name, self.soon_s)
        assert delivery is not None
        return delivery

    def bodies(self, name: str, count: int) -> list[bytes]:
        """Return the next messages, and all others that are there."""
        found = []
        for _ in range(count):
            delivery = self.receive(name)
            found.append(delivery.body)
            self.queue.acknowledge(delivery)
        return found + bodies(self.queue, name)


def table_case(request: pytest.FixtureRequest, url: Database = sqlite) -> Iterator[Case]:
    database = create_database(url(request))
    clock = ManualClock()
    queue = TableQueue(database, clock, lease_s=60.0, attempts=ATTEMPTS, expiring={BRIEF: 3600.0})
    queue.create_tables()
    yield Case(queue, lambda: clock.sleep(61.0), lambda: clock.sleep(3601.0))
    database.dispose()


def postgres_case(request: pytest.FixtureRequest) -> Iterator[Case]:
    yield from table_case(request, postgres)


def rabbit_case(request: pytest.FixtureRequest) -> Iterator[Case]:
    broker = request.getfixturevalue("rabbit")
    expires_s = 2.0
    queue = RabbitQueue(broker.url, SystemClock(), attempts=ATTEMPTS, expiring={BRIEF: expires_s})
    for name in ("work", "work.dead", "play"):
        queue.delete(name)
    yield Case(queue, queue.close, lambda: time.sleep(2 * expires_s), soon_s=5.0)
    queue.close()


cases: list[object] = [
    table_case,
    pytest.param(postgres_case, marks=pytest.mark.integration),
    pytest.param(rabbit_case, marks=pytest.mark.integration),
]


@pytest.fixture(params=cases)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    yield from request.param(request)


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
    case.queue.acknowledge(case.receive("work"))
    case.forget()
    assert case.queue.receive("work", 0.2) is None


def test_a_message_that_is_acknowledged_twice_takes_no_other_with_it(case: Case) -> None:
    case.queue.publish("work", [b"1", b"2"])
    delivery = case.receive("work")
    case.queue.acknowledge(delivery)
    case.queue.acknowledge(delivery)
    case.queue.reject(delivery)
    assert case.bodies("work", 1) == [b"2"]
    assert case.queue.receive("work.dead", 0.2) is None


def test_a_message_whose_receiver_died_comes_again_and_counts_the_attempts(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    first = case.receive("work")
    case.forget()
    second = case.receive("work")
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.body == b"1"


def test_a_late_acknowledgement_does_not_take_a_message_from_its_new_receiver(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    late = case.receive("work")
    case.forget()
    case.receive("work")
    case.queue.acknowledge(late)
    case.forget()
    assert case.receive("work").attempt == 3


def test_a_late_rejection_does_not_take_a_message_from_its_new_receiver(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    late = case.receive("work")
    case.forget()
    delivery = case.receive("work")
    case.queue.reject(late)
    case.queue.acknowledge(delivery)
    assert case.queue.receive("work.dead", 0.2) is None


def test_a_message_that_came_too_often_goes_to_the_dead_letters(case: Case) -> None:
    case.queue.publish("work", [b"poison", b"good"])
    for _ in range(ATTEMPTS):
        assert case.receive("work").body == b"poison"
        case.forget()
    assert case.bodies("work", 1) == [b"good"]
    assert case.bodies("work.dead", 1) == [b"poison"]


def test_a_released_message_comes_again_at_once_and_was_an_attempt(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    case.queue.release(case.receive("work"))
    again = case.receive("work")
    assert (again.body, again.attempt) == (b"1", 2)
    case.queue.acknowledge(again)
    case.queue.release(again)
    assert case.queue.receive("work", 0.2) is None


def test_a_rejected_message_goes_to_the_dead_letters_at_once(case: Case) -> None:
    case.queue.publish("work", [b"1"])
    case.queue.reject(case.receive("work"))
    case.forget()
    assert bodies(case.queue, "work") == []
    assert case.bodies("work.dead", 1) == [b"1"]


def test_more_messages_than_one_window_come_all_and_in_order(queue: Queue) -> None:
    sent = [b"%d" % number for number in range(600)]
    queue.publish("work", sent)
    assert bodies(queue, "work") == sent


def test_deleting_a_queue_removes_its_messages_and_no_others(queue: Queue) -> None:
    queue.publish("work", [b"1"])
    queue.publish("play", [b"2"])
    queue.delete("work")
    queue.delete("never used")
    assert bodies(queue, "work") == []
    assert bodies(queue, "play") == [b"2"]


def test_an_expiring_queue_delivers_like_any_other(case: Case) -> None:
    name = f"{BRIEF}like-others"
    case.queue.publish(name, [b"1", b"2"])
    first = case.receive(name)
    case.forget()
    second = case.receive(name)
    case.queue.release(second)
    again = case.receive(name)
    assert (first.body, second.body, again.body) == (b"1", b"1", b"1")
    case.queue.acknowledge(again)
    assert case.bodies(name, 1) == [b"2"]


def test_an_expiring_queue_has_no_dead_letters(case: Case) -> None:
    name = f"{BRIEF}dropped"
    case.queue.publish(name, [b"1", b"2"])
    case.queue.reject(case.receive(name))
    case.forget()
    assert case.bodies(name, 1) == [b"2"]
    assert case.queue.receive(f"{name}.dead", 0.2) is None


def test_what_nobody_asked_for_in_time_is_gone_and_the_queue_works_on(case: Case) -> None:
    name = f"{BRIEF}forgotten"
    case.queue.publish(name, [b"1"])
    case.queue.publish("work", [b"2"])
    case.expire()
    case.queue.publish(name, [b"3"])
    assert case.bodies(name, 1) == [b"3"]
    assert case.bodies("work", 1) == [b"2"], "others keep what they have"


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
