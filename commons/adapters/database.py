"""Connects to a service's tables and brings them to the newest version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import alembic.context
import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from commons.errors import StorageFullError, UnavailableError

_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def sqlite_url(file: Path) -> str:
    """Return the database URL of a local SQLite file, made when it is first opened."""
    return f"sqlite:///{file.absolute()}"


def create_database(url: str) -> Engine:
    """Return an engine for tables; nothing is opened yet.

    SQLite (local disks only) works in WAL mode with full synchronisation: what is committed
    survives a crash of the machine, and readers never wait for the writer.
    """
    engine = sqlalchemy.create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one consistent state and changes nothing.

    Raises:
        UnavailableError: The database cannot be reached.
    """
    with _translated(), engine.connect() as connection:
        yield connection.execution_options(reading=True)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection whose work is durable when the block ends, or undone when it raises.

    Raises:
        StorageFullError: No space is left; nothing was changed.
        UnavailableError: The database cannot be reached, or stays locked by others.
    """
    with _translated(), engine.begin() as connection:
        yield connection


def migrate(engine: Engine, migrations: Path) -> None:
    """Bring the tables to the newest version of the Alembic scripts in a folder.

    Safe to call from several processes at once: the first one works, the others wait.
    """
    config = alembic.config.Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")


def run_migrations() -> None:
    """Run what Alembic asks for; the whole of every service's `migrations/env.py`."""
    connection = alembic.context.config.attributes["connection"]
    alembic.context.configure(connection=connection, render_as_batch=True)
    with alembic.context.begin_transaction():
        alembic.context.run_migrations()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Transactions are begun by _begin_sqlite, not by the driver's guesses.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=30000",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: upgrading a read lock fails when somebody else wrote.
    kind = "DEFERRED" if connection.get_execution_options().get("reading") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {kind}")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        name = getattr(error.orig, "sqlite_errorname", None)
        if name in _FULL:
            raise StorageFullError("no space is left for the database") from error
        if not isinstance(error, OperationalError) and name not in _DAMAGED:
            raise
        raise UnavailableError(f"the database failed: {error.orig}") from error
