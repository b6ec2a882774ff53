"""The work of jobs with networks that count who asks them, and workers that die at it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy

from classification_service.adapters.job_erasure_tables import SqlJobErasure
from classification_service.adapters.job_schema import ANSWER, METADATA
from classification_service.adapters.job_tables import SqlJobCatalog, SqlJobImages
from classification_service.adapters.job_work_tables import SqlAnswerBook, SqlJobWork
from classification_service.batching import UNMEASURED, Pace
from classification_service.chores import Chores
from classification_service.consumer import JobWorker
from classification_service.job_erasure import JobEraser
from classification_service.job_packing import PartPacker
from classification_service.job_parts import PartClassifier
from classification_service.job_ports import AnswerFilter, FoundAnswer, Viewer
from classification_service.jobs import JobDesk
from classification_service.loading import LoadedNetwork, damaged
from classification_service.ports import Floats, RegisteredNetwork
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, reading, sqlite_url
from commons.adapters.table_queue import TableQueue
from commons.errors import ConflictError, UnavailableError
from commons.job_messages import JOB_QUEUE, ClassificationJob
from commons.network_card import NetworkCard, Preprocessing
from commons.ports import Clock
from tests.builders import encoded, picture
from tests.memory_blobs import MemoryBlobs
from tests.onnx_builders import network_card
from tests.sensory_house import ManualClock, SilentQueue

ALL = Viewer(None, sees_all=True)
MOST = 2000
A, B = "a" * 64, "b" * 64
Happening = Callable[[], None]


class KilledError(BaseException):
    """What no code of ours sees: the process is gone."""


def image(number: int) -> bytes:
    drawn = picture((8, 8, 1))
    drawn.paste(number % 256, (0, 0, 8, 8))
    drawn.putpixel((0, 0), number // 256)
    return encoded(drawn)


@dataclass
class Asked:
    """A predictor that remembers what it was asked, and what it does meanwhile."""

    meanwhile: Happening = lambda: None
    seen: Counter[bytes] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=list)
    pace: Pace = UNMEASURED

    def predict(self, images: Floats) -> Floats:
        self.meanwhile()
        self.sizes.append(len(images))
        self.seen.update(one.tobytes() for one in images)
        bright = images.reshape(len(images), -1).mean(axis=1) / 255.0
        return np.stack([1.0 - bright, bright], axis=1).astype(np.float32)


class Networks:
    """`Gallery` and `GalleryTables` of networks that are there already."""

    def __init__(self, card: NetworkCard) -> None:
        self.card = card
        self.asked: dict[str, Asked] = {A: Asked(), B: Asked()}
        self.broken: dict[str, Exception] = {}

    def network(self, network: str):
        if network in self.broken:
            raise self.broken[network]
        return _Both(network, self.card, 1.0, self.asked[network])

    def champions(self) -> list[object]:
        return []


class _Both(LoadedNetwork, RegisteredNetwork):
    """A network as the tables know it and as it is asked."""

    def __init__(self, network: str, card: NetworkCard, registered: float, asked: Asked) -> None:
        for name, value in {
            "network": network,
            "card": card,
            "registered": registered,
            "predictor": asked,
        }.items():
            object.__setattr__(self, name, value)


class House:
    """A desk and workers over one database; all but the networks is real."""

    def __init__(self, database: sqlalchemy.Engine, card: NetworkCard) -> None:
        self.database = database
        self.clock = ManualClock()
        self.networks = Networks(card)
        self.blobs = MemoryBlobs()
        self.queue = TableQueue(database, self.clock, lease_s=30.0, attempts=20)
        self.queue.create_tables()
        self.silent = SilentQueue(self.queue)
        self.silent.reachable = True
        self.work, self.book = SqlJobWork(database), SqlAnswerBook(database)
        self.catalog, self.images = SqlJobCatalog(database), SqlJobImages(database)
        self.ids = iter(range(10_000))
        self.desk = JobDesk(
            self.catalog,
            self.images,
            self.networks,  # type: ignore[arg-type]
            self.blobs,
            self.silent,
            self.clock,
            lambda: f"{next(self.ids):016x}",
            MOST,
        )

    def worker(self, clock: Clock | None = None) -> JobWorker:
        clock = clock or self.clock
        return JobWorker(self.queue, self.work, self.parts(clock), Chores([], clock), clock)

    def parts(self, clock: Clock) -> PartClassifier:
        networks: Any = self.networks
        return PartClassifier(self.work, self.book, networks, self.blobs, clock, claim_s=30.0)

    def make(self, numbers: Iterator[int] | range, *networks: str) -> str:
        files = [(f"{number}", image(number)) for number in numbers]
        return self.desk.make(ALL, networks or [A], None, files, is_open=False).job.id

    def drain(self, worker: JobWorker | None = None) -> None:
        """Work until there is nothing to be done for a while, whatever fails."""
        worker, idle = worker or self.worker(), 0
        while idle < 2:
            idle = 0 if worker.step() else idle + 1

    def get(self, job: str) -> ClassificationJob:
        return self.desk.get(job, ALL)

    def answers(self, job: str) -> list[FoundAnswer]:
        return self.images.answers(AnswerFilter(job), None, MOST)

    @property
    def asked_twice(self) -> int:
        return sum(
            count - 1 for asked in self.networks.asked.values() for count in asked.seen.values()
        )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = create_database(sqlite_url(tmp_path / "tables.sqlite3"))
    METADATA.create_all(database)
    yield House(database, network_card(MemoryBlobs()))
    database.dispose()


def test_images_are_asked_in_batches_and_each_network_once(house: House) -> None:
    job = house.make(range(200), A, B)
    house.drain()
    assert (house.get(job).state, house.get(job).done) == ("done", 400)
    for asked in house.networks.asked.values():
        assert sum(asked.sizes) == 200
        assert asked.sizes == [128, 72]
    assert house.asked_twice == 0


def test_what_another_job_was_told_is_not_asked_again(house: House) -> None:
    house.make(range(100), A)
    house.drain()
    second = house.make(range(50, 150), A, B)
    house.drain()
    assert (house.get(second).state, house.get(second).done) == ("done", 200)
    assert sum(house.networks.asked[A].sizes) == 150
    assert sum(house.networks.asked[B].sizes) == 100
    assert house.asked_twice == 0


def test_a_worker_that_is_killed_at_any_batch_loses_nothing_and_repeats_nothing_that_is_kept(
    house: House,
) -> None:
    job = house.make(range(600), A, B)
    calls = 0

    def die() -> None:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:  # every second batch is the last one of a worker
            raise KilledError

    for asked in house.networks.asked.values():
        asked.meanwhile = die
    deaths = 0
    for _ in range(100):
        try:
            house.drain()
        except KilledError:
            deaths += 1
            house.clock.sleep(31.0)  # then its lease is over
        else:
            break
    ended = house.get(job)
    assert (ended.state, ended.done, ended.failed) == ("done", 1200, 0)
    assert deaths >= 5
    assert house.asked_twice == 0
    assert [answer.state for answer in house.answers(job)] == ["done"] * 1200


def test_a_worker_that_dies_before_it_says_that_it_is_done_costs_nothing(house: House) -> None:
    job = house.make(range(10))
    delivery = house.queue.receive(JOB_QUEUE, 0.0)
    assert delivery is not None
    assert house.parts(house.clock).classify(1, lambda: False)  # and never acknowledged
    assert house.get(job).state == "done"
    house.clock.sleep(31.0)
    house.drain()
    assert house.get(job).done == 10
    assert sum(house.networks.asked[A].sizes) == 10


def test_workers_that_meet_the_same_images_of_two_jobs_ask_for_each_once(house: House) -> None:
    jobs = [house.make(range(300), A, B), house.make(range(299, -1, -1), B, A)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: house.drain(house.worker(SystemClock())), range(4)))
    for job in jobs:
        assert (house.get(job).state, house.get(job).done) == ("done", 600)
    assert house.asked_twice == 0


def test_images_that_a_dead_worker_had_claimed_are_asked_for_later(house: House) -> None:
    job = house.make(range(10))
    now = house.clock.now()
    house.book.claim([one.image for one in house.answers(job)][:4], A, now, now + 30.0)
    house.drain()
    assert (house.get(job).state, house.get(job).done) == ("done", 10)
    assert house.clock.now() - now >= 30.0
    assert sorted(house.networks.asked[A].sizes) == [4, 6]


def test_a_worker_that_is_told_to_end_leaves_the_rest_to_others_at_once(house: House) -> None:
    job = house.make(range(60), A, B)
    asked: list[int] = []
    house.networks.asked[A].meanwhile = lambda: asked.append(1)
    house.worker().step(lambda: bool(asked))
    assert house.get(job).done == 60
    house.drain()  # no time has passed
    assert (house.get(job).state, house.get(job).done) == ("done", 120)
    assert house.asked_twice == 0


def test_a_long_part_makes_room_for_others_after_its_turn(house: House) -> None:
    long, short = house.make(range(64), A, B), house.make(range(100, 110), A)
    house.networks.asked[A].meanwhile = lambda: house.clock.sleep(11.0)
    worker = house.worker()
    worker.step()
    assert (house.get(long).state, house.get(long).done) == ("running", 64)
    worker.step()
    assert house.get(short).state == "done"
    house.drain(worker)
    assert house.get(long).state == "done"
    assert house.asked_twice == 0


def test_a_job_that_is_cancelled_during_a_batch_ends_with_it(house: House) -> None:
    job = house.make(range(60), A, B)
    house.networks.asked[A].meanwhile = lambda: house.desk.cancel(job, ALL) and None
    house.drain()
    assert house.get(job).state == "cancelled"
    assert house.networks.asked[B].sizes == []


def test_a_part_that_fails_for_no_known_reason_is_given_up_after_some_attempts(
    house: House,
) -> None:
    job, other = house.make(range(3)), house.make(range(5, 8), B)

    def fail() -> None:
        raise ZeroDivisionError

    house.networks.asked[A].meanwhile = fail
    worker = house.worker()
    failures = 0
    for _ in range(20):
        try:
            worker.step()
        except ZeroDivisionError:
            failures += 1
    assert failures == 5
    ended = house.get(job)
    assert (ended.state, ended.failed) == ("failed", 3)
    assert "could not be worked on in 5 attempts" in str(ended.reason)
    assert house.get(other).state == "done"


def test_what_cannot_be_reached_does_not_count_as_an_attempt(house: House) -> None:
    job = house.make(range(3))
    house.networks.broken[A] = UnavailableError("the blobs cannot be reached")
    worker = house.worker()
    for _ in range(10):
        with pytest.raises(UnavailableError):
            worker.step()
    house.networks.broken.clear()
    house.drain(worker)
    assert house.get(job).state == "done"


def test_a_network_that_refuses_its_images_fails_alone(house: House) -> None:
    job = house.make(range(100), A, B)

    def refuse() -> None:
        raise damaged("its ONNX network refuses them")

    house.networks.asked[A].meanwhile = refuse
    house.drain()
    ended = house.get(job)
    assert (ended.state, ended.done, ended.failed) == ("done", 100, 100)
    assert "refuses them" in str(ended.networks[0].reason)


def test_a_network_that_gives_no_numbers_is_not_believed(house: House) -> None:
    house.networks.asked[A].predict = lambda images: np.full(  # type: ignore[method-assign]
        (len(images), 2), np.nan, np.float32
    )
    job = house.make(range(3))
    house.drain()
    assert house.get(job).state == "failed"
    assert "no probabilities" in str(house.get(job).reason)


def test_a_network_that_is_gone_is_told(house: House) -> None:
    job = house.make(range(3), A)
    house.networks.broken[A] = ConflictError("its file is damaged")
    house.drain()
    assert (house.get(job).state, house.get(job).reason) == ("failed", "its file is damaged")


def test_a_job_whose_tasks_were_lost_is_done_all_the_same(house: House) -> None:
    house.silent.reachable = False
    job = house.make(range(100))
    assert house.get(job).images == 100
    worker = house.worker()
    house.drain(worker)
    assert house.get(job).state == "queued"
    house.clock.sleep(61.0)
    house.drain(worker)
    assert house.get(job).state == "done"
    assert house.asked_twice == 0


def test_a_worker_goes_on_when_what_was_gone_is_back(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    job = house.make(range(10))
    house.silent.reachable = False
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        house.silent.reachable = looks > 100
        return house.get(job).finished is not None

    chores = Chores([], house.clock)
    parts = house.parts(house.clock)
    JobWorker(house.silent, house.work, parts, chores, house.clock).run(stopped)
    assert house.get(job).state == "done"
    assert "cannot work at the moment" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_message_that_is_no_task_goes_to_the_dead_letters(house: House) -> None:
    house.queue.publish(JOB_QUEUE, [b"nonsense", b'{"part": 99}', b'{"part": 0}'])
    house.drain()
    dead = [house.queue.receive(f"{JOB_QUEUE}.dead", 0.0) for _ in range(3)]
    assert [one and one.body for one in dead] == [b"nonsense", b'{"part": 0}', None]


def erase(house: House, number: int) -> int:
    packer = PartPacker(house.blobs, lambda: f"{next(house.ids):016x}")
    eraser = JobEraser(SqlJobErasure(house.database), packer, house.blobs, house.clock)
    return eraser.erase(hashlib.sha256(image(number)).hexdigest()).jobs


def test_an_image_that_is_erased_while_a_worker_has_it_leaves_no_byte_and_no_answer(
    house: House,
) -> None:
    job, other = house.make(range(100), A, B), house.make(range(50, 150), B)
    erased: list[int] = []
    house.networks.asked[A].meanwhile = lambda: erased.append(erase(house, 70))
    house.drain()
    assert erased == [2]
    for one, images in ((job, 99), (other, 99)):
        found = house.get(one)
        assert (found.state, found.images, found.failed) == ("done", images, 0)
        assert {answer.state for answer in house.answers(one)} == {"done"}
    gone = hashlib.sha256(image(70)).hexdigest()
    assert gone not in {answer.image for answer in house.answers(job)}
    assert not any(image(70) in data for data in house.blobs.held.values())
    with reading(house.database) as connection:
        assert connection.execute(ANSWER.select().where(ANSWER.c.image == gone)).first() is None
    assert erase(house, 70) == 0


def test_an_image_that_is_erased_before_its_worker_has_read_it_costs_the_others_nothing(
    house: House,
) -> None:
    job = house.make(range(100))
    get = house.blobs.get

    def late(name: str) -> bytes:
        house.blobs.get = get  # type: ignore[method-assign]
        assert erase(house, 70) == 1
        return get(name)

    house.blobs.get = late  # type: ignore[method-assign]
    house.drain()
    found = house.get(job)
    assert (found.state, found.done, found.failed) == ("done", 99, 0)


def test_of_two_requests_with_the_same_images_each_stores_what_the_job_keeps_of_it(
    house: House,
) -> None:
    job = house.desk.make(ALL, [A], None, [], is_open=True).job.id
    known = house.images.known
    files = [(f"{number}", image(number)) for number in range(100)]

    def late(job: str, images: list[str]) -> set[str]:
        house.images.known = known  # type: ignore[method-assign]
        found = known(job, images)
        house.desk.add(job, ALL, files[:70], is_open=True)
        return found

    house.images.known = late  # type: ignore[method-assign]
    house.desk.add(job, ALL, files[50:], is_open=False)
    for number in (0, 60, 99):
        assert sum(image(number) in data for data in house.blobs.held.values()) == 1
    assert erase(house, 60) == 1
    assert not any(image(60) in data for data in house.blobs.held.values())
    house.drain()
    assert (house.get(job).done, house.get(job).failed) == (99, 0)


def test_no_more_than_some_megabytes_of_images_are_in_one_part(house: House) -> None:
    files = [(f"{number}", number.to_bytes(1) * 3_000_000) for number in range(7)]
    large = ("large", bytes(9_000_000))
    house.desk.make(ALL, [A], None, [*files, large, *files], is_open=False)
    sizes = sorted(len(data) for data in house.blobs.held.values())
    assert sizes == [3_000_000, 6_000_000, 6_000_000, 6_000_000, 9_000_000]


def test_a_large_input_is_asked_for_few_images_at_once(house: House) -> None:
    how = Preprocessing(shape=(1024, 1024, 3), resize="fit", decoder="pillow-2")
    house.networks.card = house.networks.card.model_copy(update={"preprocessing": how})
    job = house.make(range(5))
    house.drain()
    assert house.get(job).state == "done"
    assert house.networks.asked[A].sizes == [2, 2, 1]


def test_a_full_disk_refuses_a_job_and_leaves_nothing_of_it(house: House) -> None:
    house.blobs.room = 500
    files = [(f"{number}", image(number)) for number in range(200)]
    with pytest.raises(Exception, match="no space"):
        house.desk.make(ALL, [A], None, files, is_open=False)
    assert house.blobs.held == {}
    assert house.desk.page(ALL, None, 10).jobs == []


def test_a_slow_network_gets_as_many_images_at_once_as_a_second_is_for(house: House) -> None:
    house.networks.asked[A].pace = Pace(1, 0.03)
    job = house.make(range(100))
    house.drain()
    assert house.get(job).state == "done"
    assert house.networks.asked[A].sizes == [33, 33, 33, 1]
