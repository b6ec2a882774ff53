"""What the table of examinations promises; on every database of `tests.databases`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

import classification_service
from classification_service.adapters.examination_tables import SqlExaminationTables
from classification_service.adapters.tables import SqlGalleryTables
from classification_service.ports import RegisteredNetwork
from commons.adapters.database import migrate
from commons.errors import NotFoundError
from commons.messages import Examination
from commons.network_card import network_id
from tests.databases import database_urls, opened_database
from tests.memory_blobs import MemoryBlobs
from tests.onnx_builders import network_card

MIGRATIONS = Path(classification_service.__file__).parent / "migrations"


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        yield database


def registered(database: sqlalchemy.Engine, count: int) -> list[str]:
    blobs, networks = MemoryBlobs(), []
    for number in range(count):
        card = network_card(blobs, created=float(number))
        SqlGalleryTables(database).add_network(RegisteredNetwork(network_id(card), card, 1.0))
        networks.append(network_id(card))
    return networks


def examination(network: str, accuracy: float = 0.75) -> Examination:
    card = network_card(MemoryBlobs())
    return Examination(
        network=network,
        snapshot=card.snapshot,
        split="validation",
        images=4,
        categories=card.categories,
        confusion=[[1, 1], [0, 2]],
        accuracy=accuracy,
        latency_us=12.5,
        cpu="made up",
        at=5.0,
    )


def test_an_examination_comes_back_as_it_went_in(database: sqlalchemy.Engine) -> None:
    tables = SqlExaminationTables(database)
    (network,) = registered(database, 1)
    with pytest.raises(NotFoundError) as none:
        tables.examination(network)
    assert none.value.kind == "not-examined"
    tables.add(examination(network))
    assert tables.examination(network) == examination(network)


def test_the_first_examination_stays(database: sqlalchemy.Engine) -> None:
    tables = SqlExaminationTables(database)
    (network,) = registered(database, 1)
    tables.add(examination(network))
    tables.add(examination(network, accuracy=0.1))
    assert tables.examination(network).accuracy == 0.75


def test_the_newest_are_examined_first(database: sqlalchemy.Engine) -> None:
    tables = SqlExaminationTables(database)
    first, second, third = registered(database, 3)
    assert tables.unexamined(2) == [third, second]
    tables.add(examination(second))
    assert tables.unexamined(10) == [third, first]
