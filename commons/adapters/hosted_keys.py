"""Puts the keys together for the service that hosts the admin API."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from commons.adapters.database import create_database
from commons.adapters.key_guard import KeyGuard, KeyPolicy, OpenGuard
from commons.adapters.key_tables import SqlKeyTables
from commons.auth import StoredKey
from commons.key_desk import KeyDesk
from commons.ports import Clock


@dataclass(frozen=True)
class HostedKeys:
    """The desk that keeps the keys, and the guard that asks it."""

    desk: KeyDesk
    guard: KeyGuard


def open_keys(
    database_url: str,
    clock: Clock,
    policy: KeyPolicy,
    given: Sequence[StoredKey] = (),
    *,
    is_open: bool = False,
) -> HostedKeys:
    """Return the keys of a database, its table made and up to date.

    Args:
        database_url: Where the table of keys is.
        clock: Says when a key expires.
        policy: Who needs one.
        given: Keys that are good without being in the table.
        is_open: Ask nobody for a key: whoever calls in this process has the folder anyway.

    Raises:
        StorageFullError: No space is left for the table.
        UnavailableError: The database cannot be reached.
    """
    tables = SqlKeyTables(create_database(database_url))
    tables.create_tables()
    desk = KeyDesk(tables, clock, secrets.token_bytes, given)
    guard = OpenGuard() if is_open else KeyGuard(desk, required=policy == "required")
    return HostedKeys(desk, guard)
