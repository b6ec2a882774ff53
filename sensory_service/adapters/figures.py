"""Figures for Prometheus, read from the tables: the same whichever process is asked."""

from sqlalchemy import Engine, case, func, select

from commons.adapters.database import reading
from sensory_service.adapters.shard_tables import wanted
from sensory_service.adapters.tables import (
    APPEARANCE,
    BATCH_ORDER,
    IMAGE,
    ORDER_SHARD,
    PURGED,
    SHARD,
)


def orders_by_state(database: Engine) -> dict[str, float]:
    """Return the number of batch orders in each state."""
    ready = (
        select(ORDER_SHARD.c.batch_order, func.count(SHARD.c.sha256).label("ready"))
        .select_from(ORDER_SHARD.join(SHARD, ORDER_SHARD.c.shard == SHARD.c.id))
        .group_by(ORDER_SHARD.c.batch_order)
        .subquery()
    )
    state = case(
        (BATCH_ORDER.c.ended.is_not(None), BATCH_ORDER.c.ended),
        (ready.c.ready == BATCH_ORDER.c.shards, "complete"),
        (ready.c.ready > 0, "running"),
        else_="accepted",
    ).label("state")
    query = (
        select(state, func.count())
        .select_from(BATCH_ORDER.outerjoin(ready, ready.c.batch_order == BATCH_ORDER.c.id))
        .group_by(state)
    )
    counts: dict[str, float] = dict.fromkeys(("accepted", "running", "complete"), 0.0)
    with reading(database) as connection:
        counts.update({row[0]: float(row[1]) for row in connection.execute(query)})
    return counts


def waiting_shards(database: Engine) -> dict[str, float]:
    """Return how many shards still have to be made: what the queue is there for."""
    query = select(func.count()).select_from(SHARD).where(SHARD.c.sha256.is_(None), wanted())
    with reading(database) as connection:
        return {"shards": float(connection.execute(query).scalar_one())}


def unlooked_images(database: Engine) -> float:
    """Return how many images nobody looked at yet; some that left their datasets are among them."""
    tables = (IMAGE, APPEARANCE, PURGED)  # what is erased leaves its name behind, and no looks
    with reading(database) as connection:
        images, looked, erased = (
            int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for table in tables
        )
    return float(max(0, images - looked - erased))


def image_bytes(database: Engine) -> float:
    """Return what all images have together, each counted once, without those that are erased."""
    query = (
        select(func.coalesce(func.sum(IMAGE.c.size_bytes), 0))
        .select_from(IMAGE.outerjoin(PURGED, PURGED.c.image == IMAGE.c.sha256))
        .where(PURGED.c.image.is_(None))
    )
    with reading(database) as connection:
        return float(connection.execute(query).scalar_one())
