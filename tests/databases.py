"""The databases that every contract of tables is held on."""

from collections.abc import Iterator

import pytest
import sqlalchemy

from commons.adapters.database import create_database, sqlite_url


def sqlite(request: pytest.FixtureRequest) -> str:
    """Return the URL of a new SQLite file."""
    return sqlite_url(request.getfixturevalue("tmp_path") / "tables.sqlite3")


def postgres(request: pytest.FixtureRequest) -> str:
    """Return the URL of a new PostgreSQL database."""
    url: str = request.getfixturevalue("postgres").new_database()
    return url


database_urls: list[object] = [sqlite, pytest.param(postgres, marks=pytest.mark.integration)]


def opened_database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    """Give an engine of the database that a parametrized fixture asks for."""
    database = create_database(request.param(request))
    yield database
    database.dispose()
