"""Connects to a service's tables, in SQLite or PostgreSQL, and keeps them at the newest version."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import alembic.command
import alembic.config
import alembic.context
import sqlalchemy
import stamina
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from commons.errors import InvalidInputError, StorageFullError, UnavailableError

_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE", "53100")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_EXPECTED = "expected a database like postgresql://user:password@host:5432/name"
_MIGRATION_LOCK = 0x64696365  # any number: all who make tables ask for this one
_CONNECT_S = 5
_WAITING = ("55P03", "40P01")  # lock not available, deadlock
_LOCK_MS = 300  # less than the second after which PostgreSQL ends one of a deadlock
_MIGRATION_S = 60.0
_PATIENCE_S = 30  # of a writer, in SQLite
_TURNS: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()


def sqlite_url(file: Path) -> str:
    """Return the database URL of a local SQLite file, made when it is first opened."""
    return f"sqlite:///{file.absolute()}"


def create_database(url: str) -> Engine:
    """Return an engine for tables; nothing is opened yet.

    SQLite (local disks only) works in WAL mode with full synchronisation: what is committed
    survives a crash of the machine, and readers never wait for the writer. PostgreSQL is asked
    through psycopg; a connection that was lost since its last use is replaced unnoticed.

    Args:
        url: `sqlite:///file` or `postgresql://user:password@host:port/name`.

    Raises:
        InvalidInputError: The URL is none of these.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInputError(f"{_EXPECTED}, got no URL") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        engine = sqlalchemy.create_engine(parsed)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if kind != "postgresql":
        raise InvalidInputError(f"{_EXPECTED}, got a database of the kind {kind}")
    try:
        return sqlalchemy.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_S},
        )
    except ImportError as error:
        raise InvalidInputError(
            f"PostgreSQL needs the extra dicebox[cluster]: {error.name} is not installed"
        ) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one consistent state and changes nothing.

    Raises:
        UnavailableError: The database cannot be reached.
    """
    options: dict[str, Any] = {"reading": True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with _translated(), engine.connect() as connection:
        yield connection.execution_options(**options)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection whose work is durable when the block ends, or undone when it raises.

    Raises:
        StorageFullError: No space is left; nothing was changed.
        UnavailableError: The database cannot be reached, or stays locked by others.
    """
    with _turn(engine), _translated(), engine.begin() as connection:
        yield connection


@contextmanager
def one_at_a_time(engine: Engine, lock: int = _MIGRATION_LOCK) -> Iterator[Connection]:
    """Give a connection as `writing` does, to one holder of a lock after the other.

    Args:
        engine: The database.
        lock: Number of the lock in PostgreSQL; default: that of those who make tables.
    """
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            taken = sqlalchemy.func.pg_advisory_xact_lock(lock)
            connection.execute(sqlalchemy.select(taken))
        yield connection


def version_table(engine: Engine, migrations: Path) -> str:
    """Return the table that says how far a folder of scripts was run.

    A SQLite file belongs to one folder of scripts; a database on a server may hold several.
    """
    if engine.dialect.name == "sqlite":
        return "alembic_version"
    name = migrations.parent.name if migrations.name == "migrations" else migrations.name
    return f"alembic_version_{name}"


def migrate(engine: Engine, migrations: Path) -> None:
    """Bring the tables to the newest version of the Alembic scripts in a folder.

    Safe to call from several processes at once: the first one works, the others wait. Safe also
    while others read and write the tables: a script that does not get them all at once steps
    back and comes again, so nobody waits long for it, and nobody for ever.

    Raises:
        StorageFullError: No space is left; nothing was changed.
        UnavailableError: The database cannot be reached, or others kept the tables for a minute.
    """
    config = alembic.config.Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["version_table"] = version_table(engine, migrations)
    for attempt in stamina.retry_context(
        on=_is_waiting, timeout=_MIGRATION_S, attempts=None, wait_initial=0.1, wait_max=1.0
    ):
        with attempt, one_at_a_time(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_MS}ms'")
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")


def _is_waiting(error: Exception) -> bool:
    """Say whether others held what a migration needs (also: each what the other one needs)."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) in _WAITING


def run_migrations() -> None:
    """Run what Alembic asks for; the whole of every service's `migrations/env.py`."""
    attributes = alembic.context.config.attributes
    alembic.context.configure(
        connection=attributes["connection"],
        version_table=attributes["version_table"],
        render_as_batch=True,
    )
    with alembic.context.begin_transaction():
        alembic.context.run_migrations()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Transactions are begun by _begin_sqlite, not by the driver's guesses.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={1000 * _PATIENCE_S}",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: upgrading a read lock fails when somebody else wrote.
    kind = "DEFERRED" if connection.get_execution_options().get("reading") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {kind}")


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    """Have the writers of this process take turns where only one can write at a time.

    SQLite makes who finds it locked sleep and try again, up to 0.1 s after it was free.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    lock = _TURNS.setdefault(engine, threading.Lock())
    if not lock.acquire(timeout=_PATIENCE_S):
        raise UnavailableError("the database is busy: others write all the time")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise UnavailableError("all connections to the database are in use") from error
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorname", getattr(error.orig, "sqlstate", None))
        if code in _FULL:
            raise StorageFullError("no space is left for the database") from error
        known = isinstance(error, OperationalError) or error.connection_invalidated
        if not known and code not in _DAMAGED:
            raise
        raise UnavailableError(f"the database failed: {error.orig}") from error
