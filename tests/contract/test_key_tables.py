"""What the table of keys promises; on every database of `tests.databases`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from commons.adapters.database import migrate, reading
from commons.adapters.key_tables import METADATA, SqlKeyTables
from commons.auth import SCOPES, KeyTables, StoredKey
from commons.errors import ConflictError
from sensory_service.app import MIGRATIONS as SENSORY_MIGRATIONS
from tests.databases import database_urls, opened_database

# Of its own name on every database: the keys may lie beside the tables of a service.
VERSION_TABLE = "access_key_version"


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    yield from opened_database(request)


@pytest.fixture
def tables(database: sqlalchemy.Engine) -> KeyTables:
    tables = SqlKeyTables(database)
    tables.create_tables()
    return tables


def key(number: int, **values: object) -> StoredKey:
    facts = {
        "id": f"{number:012x}",
        "sha256": f"{number:064x}",
        "name": f"key {number} Ünïcode 猫",
        "scopes": ("sensory:read", "label"),
        "created": 1000.0 + number,
    }
    return StoredKey.model_validate(facts | values)


def test_the_migrations_make_the_table_of_the_code(
    database: sqlalchemy.Engine, tables: KeyTables
) -> None:
    with reading(database) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []


def test_the_tables_of_a_service_may_be_in_the_same_database(database: sqlalchemy.Engine) -> None:
    tables = SqlKeyTables(database)
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda _: tables.create_tables(), range(4)):
            pass
        migrate(database, SENSORY_MIGRATIONS)
    tables.add(key(1))
    tables.create_tables()
    assert [one.id for one in tables.all()] == [key(1).id]


def test_a_key_is_kept_as_it_is(tables: KeyTables) -> None:
    kept = [
        key(1),
        key(2, scopes=SCOPES, expires=2000.5, last_used=1500.25, revoked=1600.125),
        key(3, login_of=key(1).id, expires=3000.0, name="x" * 120),
    ]
    for one in kept:
        tables.add(one)
    assert [tables.get(one.id) for one in kept] == kept
    assert tables.get("f" * 12) is None


def test_all_are_listed_newest_first_but_for_cookies(tables: KeyTables) -> None:
    for number in (2, 1, 3):
        tables.add(key(number))
    tables.add(key(4, login_of=key(1).id, expires=9000.0))
    assert [one.id for one in tables.all()] == [key(number).id for number in (3, 2, 1)]


def test_an_id_is_given_once(tables: KeyTables) -> None:
    tables.add(key(1))
    with pytest.raises(ConflictError):
        tables.add(key(1, sha256="f" * 64))
    assert tables.get(key(1).id) == key(1)


def test_that_there_ever_was_a_key_is_known_also_when_it_is_revoked(tables: KeyTables) -> None:
    assert not tables.exist()
    tables.add(key(1))
    tables.revoke(key(1).id, 2000.0)
    assert tables.exist()


def test_a_key_is_revoked_once_and_its_cookies_with_it(tables: KeyTables) -> None:
    tables.add(key(1))
    tables.add(key(2))
    tables.add(key(3, login_of=key(1).id, expires=9000.0))
    tables.add(key(4, login_of=key(2).id, expires=9000.0))
    tables.revoke(key(1).id, 2000.0)
    tables.revoke(key(1).id, 3000.0)  # the first time stays
    tables.revoke("f" * 12, 3000.0)
    found = [tables.get(key(number).id) for number in (1, 2, 3, 4)]
    assert [one and one.revoked for one in found] == [2000.0, None, 2000.0, None]


def test_a_cookie_alone_is_revoked_by_its_own_id(tables: KeyTables) -> None:
    tables.add(key(1))
    tables.add(key(2, login_of=key(1).id, expires=9000.0))
    tables.revoke(key(2).id, 2000.0)
    found = [tables.get(key(number).id) for number in (1, 2)]
    assert [one and one.revoked for one in found] == [None, 2000.0]


def test_the_use_of_a_cookie_is_a_use_of_its_key(tables: KeyTables) -> None:
    for one in (key(1), key(2), key(3, login_of=key(1).id, expires=9000.0)):
        tables.add(one)
    tables.touch(key(3).id, 1700.0)
    found = [tables.get(key(number).id) for number in (1, 2, 3)]
    assert [one and one.last_used for one in found] == [1700.0, None, 1700.0]
    tables.touch(key(2).id, 1800.0)
    found = [tables.get(key(number).id) for number in (1, 2, 3)]
    assert [one and one.last_used for one in found] == [1700.0, 1800.0, 1700.0]


def test_cookies_that_expired_are_forgotten_and_keys_are_not(tables: KeyTables) -> None:
    tables.add(key(1, expires=1500.0))
    tables.add(key(2, login_of=key(1).id, expires=1400.0))
    tables.add(key(3, login_of=key(1).id, expires=5000.0))
    tables.add(key(4, created=2000.0))
    kept = [tables.get(key(number).id) is not None for number in (1, 2, 3, 4)]
    assert kept == [True, False, True, True]


def test_many_may_use_keys_at_once(tables: KeyTables) -> None:
    for number in range(8):
        tables.add(key(number))
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda n: tables.touch(key(n % 8).id, 2000.0 + n), range(64)):
            pass
    for number in range(8):
        found = tables.get(key(number).id)
        assert found is not None
        assert found.last_used is not None
        assert found.last_used >= 2000.0
