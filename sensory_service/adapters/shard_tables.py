"""Shards in tables, as the batch processors see them."""

from collections.abc import Callable, Sequence

import sqlalchemy
from sqlalchemy import Exists, exists, func, select

from commons.adapters.database import one_at_a_time, reading, writing
from commons.errors import NotFoundError
from sensory_service.adapters.dataset_tables import insert_unless_there
from sensory_service.adapters.tables import (
    BATCH_ORDER,
    DISCARDED,
    ORDER_SHARD,
    PURGED,
    SHARD,
    SNAPSHOT,
    SNAPSHOT_IMAGE,
)
from sensory_service.ports import ErasedMeanwhileError, ShardTask
from sensory_service.shard_layout import ShardPlan
from sensory_service.shard_messages import MakeShard

# Held by whoever records a result and by whoever clears one, in PostgreSQL.
_RESULTS_LOCK = 0x5A4D
_AT_ONCE = 1000  # the others come with the next look
_UNMADE = (SHARD.c.sha256.is_(None), SHARD.c.issued >= 0)
_UNASKED = -1.0


class ShardTables:
    """`sensory_service.ports.ShardCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def task(self, shard: int) -> ShardTask | None:
        """Return what a task is about, or nothing if there is no such shard."""
        with reading(self._database) as connection:
            query = select(SHARD, wanted().label("wanted")).where(SHARD.c.id == shard)
            row = connection.execute(query).first()
        if row is None:
            return None
        plan = ShardPlan(
            snapshot=row.snapshot,
            split=row.split,
            shape=(row.height, row.width, row.channels),
            resize=row.resize,
            first=row.first,
            examples=row.examples,
        )
        return ShardTask(row.id, plan, bool(row.wanted), row.sha256)

    def record(self, shard: int, sha256: str, is_stored: Callable[[], bool]) -> None:
        """Say that a shard was made; the first result stays."""
        with one_at_a_time(self._database, _RESULTS_LOCK) as connection:
            connection.execute(
                SHARD.update()
                .where(SHARD.c.id == shard, SHARD.c.sha256.is_(None))
                .values(sha256=sha256)
            )
            # The shard's row is locked now: an erasure that marked its image before is seen
            # here, and one that marks it later waits and sees the shard.
            erased = (
                select(PURGED.c.image, PURGED.c.done)
                .join(SNAPSHOT_IMAGE, SNAPSHOT_IMAGE.c.image == PURGED.c.image)
                .join(SNAPSHOT, SNAPSHOT.c.number == SNAPSHOT_IMAGE.c.snapshot)
                .join(SHARD, SHARD.c.snapshot == SNAPSHOT.c.id)
                .where(
                    SHARD.c.id == shard,
                    SNAPSHOT_IMAGE.c.position >= SHARD.c.first,
                    SNAPSHOT_IMAGE.c.position < SHARD.c.first + SHARD.c.examples,
                )
            )
            if marks := {row.image: row.done for row in connection.execute(erased)}:
                raise ErasedMeanwhileError(marks)
            if not is_stored():
                raise NotFoundError(f"there is no shard {sha256}", kind="unknown-shard")

    def fail(self, shard: int, reason: str) -> None:
        """Fail the open orders that wait for a shard; a later order tries again."""
        waiting = (
            select(ORDER_SHARD.c.batch_order)
            .join(SHARD, ORDER_SHARD.c.shard == SHARD.c.id)
            .where(SHARD.c.id == shard, SHARD.c.sha256.is_(None))
        )
        with writing(self._database) as connection:
            connection.execute(
                BATCH_ORDER.update()
                .where(BATCH_ORDER.c.id.in_(waiting), BATCH_ORDER.c.ended.is_(None))
                .values(ended="failed", reason=reason)
            )

    def unsent(self, shards: Sequence[int]) -> None:
        """Say that the tasks of shards did not go out, so that they are overdue at once."""
        with writing(self._database) as connection:
            connection.execute(SHARD.update().where(SHARD.c.id.in_(shards)).values(issued=0.0))

    def overdue(self, issued_before: float, now: float) -> list[MakeShard]:
        """Return tasks for the wanted shards without a result whose last one is that old."""
        late = (*_UNMADE, SHARD.c.issued < issued_before, wanted())
        with writing(self._database) as connection:
            query = select(SHARD.c.id).where(*late).order_by(SHARD.c.id).limit(_AT_ONCE)
            shards = list(connection.execute(query.with_for_update()).scalars())
            if not shards:
                return []
            connection.execute(SHARD.update().where(SHARD.c.id.in_(shards)).values(issued=now))
            waiting = (
                select(ORDER_SHARD.c.shard, func.min(ORDER_SHARD.c.batch_order))
                .join(BATCH_ORDER, BATCH_ORDER.c.id == ORDER_SHARD.c.batch_order)
                .where(ORDER_SHARD.c.shard.in_(shards), BATCH_ORDER.c.ended.is_(None))
                .group_by(ORDER_SHARD.c.shard)
                .order_by(ORDER_SHARD.c.shard)
            )
            found = connection.execute(waiting).all()
        return [MakeShard(shard=shard, order=order) for shard, order in found]

    def awaiting_orders(self) -> list[str]:
        """Return the open orders with shards that have no result, the oldest."""
        waiting = (
            select(ORDER_SHARD.c.batch_order)
            .join(SHARD, SHARD.c.id == ORDER_SHARD.c.shard)
            .where(*_UNMADE)
        )
        # Tasks are made in their order too, so newer orders wait for these anyway. Each has a
        # channel of its own at the broker, which has 2,047.
        query = (
            select(BATCH_ORDER.c.id)
            .where(BATCH_ORDER.c.id.in_(waiting), BATCH_ORDER.c.ended.is_(None))
            .order_by(BATCH_ORDER.c.created, BATCH_ORDER.c.id)
            .limit(_AT_ONCE // 2)
        )
        with reading(self._database) as connection:
            return list(connection.execute(query).scalars())

    def results(self) -> set[str]:
        """Return the hashes of all shards that are recorded."""
        query = select(SHARD.c.sha256).where(SHARD.c.sha256.is_not(None))
        with reading(self._database) as connection:
            return set(connection.execute(query).scalars())

    def discard(self) -> list[str]:
        """Forget the results that no open order holds; return the hashes that may be cleared."""
        held = SHARD.c.sha256.is_not(None) | (SHARD.c.issued >= 0)
        unwanted = select(SHARD.c.id, SHARD.c.sha256).where(held, ~wanted())
        with one_at_a_time(self._database, _RESULTS_LOCK) as connection:
            # Whoever places an order meanwhile waits at these rows, or is seen by the second look.
            some = unwanted.limit(_AT_ONCE).with_for_update(of=SHARD)
            locked = connection.execute(some).all()
            still = unwanted.where(SHARD.c.id.in_([row.id for row in locked]))
            rows = connection.execute(still).all() if locked else []
            if rows:
                lost = sorted({row.sha256 for row in rows if row.sha256 is not None})
                marks: list[dict[str, object]] = [{"sha256": sha256} for sha256 in lost]
                insert_unless_there(connection, DISCARDED, marks, ["sha256"])
                update = SHARD.update().where(SHARD.c.id.in_([row.id for row in rows]))
                connection.execute(update.values(sha256=None, issued=_UNASKED))
            return list(connection.execute(select(DISCARDED.c.sha256)).scalars())

    def clear(self, sha256: str, delete: Callable[[], object]) -> None:
        """Have the bytes of a shard deleted, unless one has this result."""
        with one_at_a_time(self._database, _RESULTS_LOCK) as connection:
            held = select(SHARD.c.id).where(SHARD.c.sha256 == sha256).limit(1)
            if connection.execute(held).first() is None:
                delete()
            connection.execute(DISCARDED.delete().where(DISCARDED.c.sha256 == sha256))


def wanted() -> Exists:
    """Return the condition that some open order waits for a shard."""
    return exists().where(
        ORDER_SHARD.c.shard == SHARD.c.id,
        ORDER_SHARD.c.batch_order == BATCH_ORDER.c.id,
        BATCH_ORDER.c.ended.is_(None),
    )
