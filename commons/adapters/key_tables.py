"""The table of keys, in a file of its own or in the database of whoever hosts the admin API."""

import json
from pathlib import Path

from sqlalchemy import Column, Engine, Float, MetaData, Row, String, Table, Text, delete, or_
from sqlalchemy import select as select_from
from sqlalchemy import update as update_table
from sqlalchemy.exc import IntegrityError

from commons.adapters.database import migrate, reading, writing
from commons.auth import StoredKey
from commons.errors import ConflictError

_MIGRATIONS = Path(__file__).parent / "key_migrations"
METADATA = MetaData()
KEY = Table(
    "access_key",
    METADATA,
    Column("id", String(12), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("name", String(120), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=True),
    Column("last_used", Float, nullable=True),
    Column("revoked", Float, nullable=True),
    Column("login_of", String(12), nullable=True, index=True),
)


class SqlKeyTables:
    """`commons.auth.KeyTables` in a database; `create_tables` comes first."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def create_tables(self) -> None:
        """Make the table, or bring it to the newest version."""
        migrate(self._database, _MIGRATIONS)

    def add(self, key: StoredKey) -> None:
        """Keep a key, and forget cookies that expired before it was made.

        Raises:
            ConflictError: There is a key with this id.
        """
        values = {**key.model_dump(), "scopes": json.dumps(key.scopes)}
        with writing(self._database) as connection:
            connection.execute(
                delete(KEY).where(KEY.c.login_of.is_not(None), KEY.c.expires < key.created)
            )
            try:
                connection.execute(KEY.insert().values(values))
            except IntegrityError as error:
                raise ConflictError(f"there is a key {key.id} already") from error

    def get(self, key_id: str) -> StoredKey | None:
        """Return a key, also one that is no longer good."""
        with reading(self._database) as connection:
            row = connection.execute(select_from(KEY).where(KEY.c.id == key_id)).first()
        return None if row is None else _stored(row)

    def all(self) -> list[StoredKey]:
        """Return all keys, newest first, without those of cookies."""
        query = select_from(KEY).where(KEY.c.login_of.is_(None)).order_by(KEY.c.created.desc())
        with reading(self._database) as connection:
            return [_stored(row) for row in connection.execute(query)]

    def exist(self) -> bool:
        """Say whether any key was ever added."""
        with reading(self._database) as connection:
            return connection.execute(select_from(KEY.c.id).limit(1)).first() is not None

    def revoke(self, key_id: str, now: float) -> None:
        """Revoke a key and the cookies it was traded for."""
        which = or_(KEY.c.id == key_id, KEY.c.login_of == key_id)
        with writing(self._database) as connection:
            connection.execute(
                update_table(KEY).where(which, KEY.c.revoked.is_(None)).values(revoked=now)
            )

    def touch(self, key_id: str, now: float) -> None:
        """Write down that a key was used, and with a cookie the key it was traded for."""
        parent = select_from(KEY.c.login_of).where(KEY.c.id == key_id).scalar_subquery()
        which = or_(KEY.c.id == key_id, KEY.c.id == parent)
        with writing(self._database) as connection:
            connection.execute(update_table(KEY).where(which).values(last_used=now))


def _stored(row: Row[tuple[object, ...]]) -> StoredKey:
    values = dict(row._mapping)
    return StoredKey(**{**values, "scopes": tuple(json.loads(str(values["scopes"])))})
