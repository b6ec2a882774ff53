"""Erasing beside senders and workers: no byte and no answer of it stays, and all else is done."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy

from classification_service.adapters.job_schema import ANSWER, METADATA
from classification_service.adapters.job_work_tables import SqlJobCleaning
from commons.adapters.clock import SystemClock
from commons.adapters.database import reading
from tests.databases import database_urls, opened_database
from tests.memory_blobs import MemoryBlobs
from tests.onnx_builders import network_card
from tests.unit.test_classification_job_parts import ALL, A, B, House, erase, image

IMAGES = 80
ERASED = range(0, IMAGES, 8)
KEPT = sorted(set(range(IMAGES)) - set(ERASED))


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        METADATA.create_all(database)
        yield database


def busy(house: House, jobs: list[str]) -> int:
    """Send, classify and erase at once; return of how many jobs something was erased."""
    files = [(f"{number}", image(number)) for number in range(IMAGES)]
    over = threading.Event()

    def send(_: int) -> None:
        for start in range(0, IMAGES, 10):
            for job in jobs:
                house.desk.add(job, ALL, files[start : start + 20], is_open=True)

    def go_on_erasing() -> int:
        count = 0
        while not over.is_set():
            count += erase_all(house)
        return count

    with ThreadPoolExecutor(5) as pool:
        erasing = pool.submit(go_on_erasing)
        others = [pool.submit(send, number) for number in range(2)]
        others += [pool.submit(house.drain, house.worker(SystemClock())) for _ in range(2)]
        try:
            for one in others:
                one.result(60)
        finally:
            over.set()
        return erasing.result(60)


def erase_all(house: House) -> int:
    return sum(erase(house, number) for number in ERASED)


def test_what_is_erased_while_it_is_sent_and_classified_is_gone_in_the_end(
    database: sqlalchemy.Engine,
) -> None:
    house = House(database, network_card(MemoryBlobs()))
    networks = {
        house.desk.make(ALL, asked, None, [], is_open=True).job.id: len(asked)
        for asked in ([A], [A, B], [A, B])
    }
    assert busy(house, list(networks)) > 0
    erase_all(house)
    assert erase_all(house) == 0
    for job in networks:
        house.desk.close(job, ALL)
    house.drain()
    held = house.blobs.held
    copies = [sum(image(number) in data for data in held.values()) for number in range(IMAGES)]
    assert copies == [0 if number in ERASED else len(networks) for number in range(IMAGES)]
    assert SqlJobCleaning(database).unknown(list(held)) == []
    for job, count in networks.items():
        found = house.get(job)
        assert (found.state, found.images, found.failed) == ("done", len(KEPT), 0)
        assert found.done == count * len(KEPT)
    with reading(database) as connection:
        answered = {row.image for row in connection.execute(ANSWER.select())}
    assert answered == {hashlib.sha256(image(number)).hexdigest() for number in KEPT}
