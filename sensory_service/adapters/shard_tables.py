"""Shards in tables, as the batch processors see them."""

from collections.abc import Sequence

import sqlalchemy
from sqlalchemy import Exists, exists, select

from commons.adapters.database import reading, writing
from sensory_service.adapters.tables import (
    BATCH_ORDER,
    ORDER_SHARD,
    PURGED,
    SHARD,
    SNAPSHOT,
    SNAPSHOT_IMAGE,
)
from sensory_service.ports import ErasedMeanwhileError, ShardTask
from sensory_service.shard_layout import ShardPlan


class ShardTables:
    """`sensory_service.ports.ShardCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def task(self, shard: int) -> ShardTask | None:
        """Return what a task is about, or nothing if there is no such shard."""
        with reading(self._database) as connection:
            query = select(SHARD, _wanted().label("wanted")).where(SHARD.c.id == shard)
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

    def record(self, shard: int, sha256: str) -> None:
        """Say that a shard was made; the first result stays."""
        with writing(self._database) as connection:
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

    def overdue(self, issued_before: float, now: float) -> list[int]:
        """Return the wanted shards without a result whose task went out before a time."""
        late = (SHARD.c.sha256.is_(None), SHARD.c.issued < issued_before, _wanted())
        with writing(self._database) as connection:
            query = select(SHARD.c.id).where(*late).order_by(SHARD.c.id).with_for_update()
            shards = list(connection.execute(query).scalars())
            if shards:
                update = SHARD.update().where(SHARD.c.id.in_(shards))
                connection.execute(update.values(issued=now))
            return shards


def _wanted() -> Exists:
    """Return the condition that some open order waits for a shard."""
    return exists().where(
        ORDER_SHARD.c.shard == SHARD.c.id,
        ORDER_SHARD.c.batch_order == BATCH_ORDER.c.id,
        BATCH_ORDER.c.ended.is_(None),
    )
