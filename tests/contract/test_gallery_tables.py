"""What every implementation of `GalleryTables` and `NameTables` must do."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy

import classification_service
from classification_service.adapters.tables import SqlGalleryTables, SqlNameTables
from classification_service.ports import GalleryTables, NameTables, RegisteredNetwork
from commons.adapters.database import migrate
from commons.adapters.file_blobs import FileBlobs
from commons.errors import ConflictError, InvalidInputError, NotFoundError
from commons.network_card import network_id
from tests.databases import database_urls, opened_database
from tests.onnx_builders import network_card

MIGRATIONS = Path(classification_service.__file__).parent / "migrations"


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        yield database


@pytest.fixture
def tables(database: sqlalchemy.Engine) -> GalleryTables:
    return SqlGalleryTables(database)


@pytest.fixture
def entry(tmp_path: Path):
    def make(dataset: str = "digits", created: float = 1.0) -> RegisteredNetwork:
        card = network_card(FileBlobs(tmp_path / "blobs"), dataset=dataset, created=created)
        return RegisteredNetwork(network_id(card), card, created)

    return make


def test_a_network_comes_back_as_it_went_in(tables, entry):
    added = entry()
    assert tables.add_network(added)
    assert tables.network(added.network) == added


def test_a_network_that_is_added_twice_is_there_once(tables, entry):
    assert tables.add_network(entry())
    assert not tables.add_network(entry())
    assert len(tables.networks()) == 1


def test_an_unknown_network_is_not_found(tables):
    with pytest.raises(NotFoundError, match="no network beef"):
        tables.network("beef")


def test_a_network_is_found_by_the_first_digits_of_its_id(tables, entry):
    added = entry()
    tables.add_network(added)
    for digits in (8, 12, 63):
        assert tables.network(added.network[:digits]) == added
    for name in (added.network[:7], added.network[:8] + "x", added.network[:8].upper() + "A%"):
        with pytest.raises(NotFoundError):
            tables.network(name)


def test_digits_that_several_ids_start_with_name_none_of_them(tables, entry):
    card = entry().card
    for end in "01":
        tables.add_network(RegisteredNetwork("ab" * 31 + "0" + end, card, 1.0))
    with pytest.raises(InvalidInputError, match="several networks start with"):
        tables.network("ab" * 5)


def test_networks_come_newest_first_even_if_the_clock_went_back(tables, entry):
    for created in (3.0, 1.0, 2.0):
        tables.add_network(entry(created=created))
    assert [found.registered for found in tables.networks()] == [2.0, 1.0, 3.0]


def test_networks_are_listed_by_dataset(tables, entry):
    tables.add_network(entry("digits"))
    tables.add_network(entry("letters"))
    assert [found.card.dataset for found in tables.networks("letters")] == ["letters"]
    assert tables.networks("nothing") == []


def test_the_network_promoted_last_is_the_champion_whatever_the_clock_says(tables, entry):
    first, second = entry(created=1.0), entry(created=2.0)
    tables.add_network(first)
    tables.add_network(second)
    tables.promote("digits", first.network, 30.0)
    tables.promote("digits", second.network, 20.0)
    assert [(c.dataset, c.network, c.since) for c in tables.champions()] == [
        ("digits", second.network, 20.0)
    ]


def test_a_network_can_be_promoted_again(tables, entry):
    first, second = entry(created=1.0), entry(created=2.0)
    for added in (first, second):
        tables.add_network(added)
    for promoted in (first, second, first):
        tables.promote("digits", promoted.network, 1.0)
    assert [champion.network for champion in tables.champions()] == [first.network]


def test_the_champion_is_not_promoted_again(tables, entry):
    tables.add_network(entry())
    for when in (1.0, 2.0):
        tables.promote("digits", entry().network, when)
    champion = tables.champions()[0]
    assert (champion.since, champion.before) == (1.0, None)


def test_every_dataset_has_its_own_champion(tables, entry):
    for dataset in ("letters", "digits"):
        tables.add_network(entry(dataset))
        tables.promote(dataset, entry(dataset).network, 1.0)
    assert [champion.dataset for champion in tables.champions()] == ["digits", "letters"]


def test_an_unknown_network_cannot_be_promoted(tables):
    with pytest.raises(NotFoundError):
        tables.promote("digits", "beef", 1.0)
    assert tables.champions() == []


# Names


@pytest.fixture
def names(database: sqlalchemy.Engine) -> NameTables:
    return SqlNameTables(database)


@pytest.fixture
def two(tables, entry) -> list[str]:
    for created in (1.0, 2.0):
        tables.add_network(entry(created=created))
    return [entry(created=created).network for created in (1.0, 2.0)]


def test_a_network_is_found_by_its_name_and_lists_it(tables, names, two):
    names.give(two[0], "best")
    assert names.names() == {"best": two[0]}
    assert (tables.network("best").network, tables.network("best").name) == (two[0], "best")
    assert [found.name for found in tables.networks()] == [None, "best"]


def test_a_second_name_takes_the_place_of_the_first(tables, names, two):
    for name in ("first", "second", "second"):
        names.give(two[0], name)
    assert names.names() == {"second": two[0]}
    with pytest.raises(NotFoundError, match="no network first"):
        tables.network("first")


def test_a_name_of_another_network_moves_only_if_that_is_said(names, two):
    names.give(two[0], "best")
    names.give(two[1], "other")
    with pytest.raises(ConflictError, match=f"{two[0]} has the name best") as caught:
        names.give(two[1], "best")
    assert caught.value.kind == "name-taken"
    assert names.names() == {"best": two[0], "other": two[1]}
    names.give(two[1], "best", move=True)
    assert names.names() == {"best": two[1]}


def test_a_name_is_taken_away_from_one_network_alone(names, two):
    names.give(two[0], "best")
    for _ in range(2):
        names.give(two[1], None)
    assert names.names() == {"best": two[0]}
    names.give(two[0], None)
    assert names.names() == {}


def test_an_unknown_network_gets_no_name_and_takes_none_from_others(names, two):
    names.give(two[0], "best")
    with pytest.raises(NotFoundError):
        names.give("f" * 64, "best", move=True)
    assert names.names() == {"best": two[0]}


def test_one_of_many_who_want_a_name_at_once_gets_it(names, two):
    def give(network: str) -> bool:
        try:
            names.give(network, "best")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(give, two * 8))
    winner = names.names()["best"]
    assert got == [network == winner for network in two * 8]


@pytest.mark.parametrize("said", ["", "Best", "a\x00b", "best ", "a" * 65, "-", "é"])
def test_what_no_network_can_be_called_is_not_found(tables, two, said):
    with pytest.raises(NotFoundError):
        tables.network(said)
