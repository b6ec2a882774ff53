"""The queue without a broker: a table in SQLite or PostgreSQL, for several processes."""

import uuid
from collections.abc import Mapping, Sequence

import sqlalchemy
from sqlalchemy import Column, Connection, Float, Index, Integer, LargeBinary, String, Table

from commons.adapters.database import one_at_a_time, reading, writing
from commons.ports import Clock, Delivery

_POLL_S = 0.05
_METADATA = sqlalchemy.MetaData()
_MESSAGES = Table(
    "message",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("queue", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("free_at", Float, nullable=False),
    Column("tag", String),
    # In the order of receiving: with thousands of messages waiting the oldest is the first row.
    Index("message_in_queue", "queue", "id"),
    Index("message_by_tag", "tag"),
    sqlite_autoincrement=True,
)


class TableQueue:
    """`commons.ports.Queue` in one table.

    Args:
        database: An engine from `create_database`.
        lease_s: A delivery neither acknowledged nor rejected for this long comes again.
        attempts: After this many deliveries a message goes to the dead-letter queue.
        expiring: Prefixes of queues that expire, with the seconds after which they do.
    """

    def __init__(
        self,
        database: sqlalchemy.Engine,
        clock: Clock,
        *,
        lease_s: float = 60.0,
        attempts: int = 20,
        expiring: Mapping[str, float] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lease_s = lease_s
        self._attempts = attempts
        self._expiring = expiring or {}

    def create_tables(self) -> None:
        """Make the table unless it is there."""
        with one_at_a_time(self._database) as connection:
            _METADATA.create_all(connection)

    def publish(self, queue: str, bodies: Sequence[bytes]) -> None:
        """Append messages durably."""
        now = self._clock.now()
        rows = [{"queue": queue, "body": body, "attempts": 0, "free_at": now} for body in bodies]
        if rows:
            with writing(self._database) as connection:
                self._expire(connection, queue, now)
                connection.execute(_MESSAGES.insert(), rows)

    def receive(self, queue: str, timeout_s: float) -> Delivery | None:
        """Take the oldest free message, waiting up to `timeout_s` seconds for one."""
        deadline = self._clock.monotonic() + timeout_s
        while True:
            delivery = self._take(queue)
            left = deadline - self._clock.monotonic()
            if delivery is not None or left <= 0:
                return delivery
            self._clock.sleep(min(_POLL_S, left))

    def acknowledge(self, delivery: Delivery) -> None:
        """Remove a message for good."""
        with writing(self._database) as connection:
            connection.execute(_MESSAGES.delete().where(_MESSAGES.c.tag == delivery.tag))

    def release(self, delivery: Delivery) -> None:
        """Give a message back: it comes again at once."""
        with writing(self._database) as connection:
            connection.execute(
                _MESSAGES.update()
                .where(_MESSAGES.c.tag == delivery.tag)
                .values(tag=None, free_at=self._clock.now())
            )

    def reject(self, delivery: Delivery) -> None:
        """Move a message to the dead-letter queue."""
        with writing(self._database) as connection:
            self._bury(connection, delivery.queue, _MESSAGES.c.tag == delivery.tag)

    def delete(self, queue: str) -> None:
        """Remove a queue with all its messages."""
        with writing(self._database) as connection:
            connection.execute(_MESSAGES.delete().where(_MESSAGES.c.queue == queue))

    def _take(self, queue: str) -> Delivery | None:
        now = self._clock.now()
        free = (_MESSAGES.c.queue == queue, _MESSAGES.c.free_at <= now)
        with reading(self._database) as connection:
            # Most looks find nothing, and need not keep others from writing.
            look = sqlalchemy.select(_MESSAGES.c.id).where(*free).limit(1)
            if connection.execute(look).first() is None:
                return None
        oldest = (
            sqlalchemy.select(_MESSAGES)
            .where(*free)
            .order_by(_MESSAGES.c.id)
            .limit(1)
            # PostgreSQL: receivers pass by a row that another one is taking; SQLite has one writer.
            .with_for_update(skip_locked=True)
        )
        with writing(self._database) as connection:
            self._expire(connection, queue, now)
            while (row := connection.execute(oldest).first()) is not None:
                if row.attempts >= self._attempts:
                    self._bury(connection, queue, _MESSAGES.c.id == row.id)
                    continue
                tag, attempt = uuid.uuid4().hex, row.attempts + 1
                connection.execute(
                    _MESSAGES.update()
                    .where(_MESSAGES.c.id == row.id)
                    .values(tag=tag, attempts=attempt, free_at=now + self._lease_s)
                )
                return Delivery(queue, tag, row.body, attempt)
        return None

    def _expire(self, connection: Connection, queue: str, now: float) -> None:
        """Remove what nobody took in time, from all queues that expire together with this one."""
        for prefix, seconds in self._expiring.items():
            if queue.startswith(prefix):
                # A range, which is one of the index in every database.
                old = _MESSAGES.c.queue.between(prefix, prefix + "\uffff")
                late = _MESSAGES.c.free_at <= now - seconds
                connection.execute(_MESSAGES.delete().where(old, late))

    def _bury(
        self, connection: Connection, queue: str, which: sqlalchemy.ColumnElement[bool]
    ) -> None:
        if queue.startswith(tuple(self._expiring)):
            connection.execute(_MESSAGES.delete().where(which))
            return
        connection.execute(
            _MESSAGES.update()
            .where(which)
            .values(queue=_MESSAGES.c.queue + ".dead", tag=None, attempts=0, free_at=0.0)
        )
