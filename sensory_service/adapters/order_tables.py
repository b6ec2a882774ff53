"""Batch orders in tables: views of shards, complete when all of these are made."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from commons.adapters.database import reading, writing
from commons.adapters.decode import DECODER
from commons.errors import ConflictError, GoneError, NotFoundError
from commons.messages import SPLITS, Order, OrderRequest, OrderState, ShardDescriptor
from sensory_service.adapters.dataset_tables import insert_unless_there
from sensory_service.adapters.tables import BATCH_ORDER, ORDER_SHARD, SHARD
from sensory_service.ports import NewOrder
from sensory_service.shard_layout import ShardPlan

_KEY = (
    "snapshot",
    "split",
    "height",
    "width",
    "channels",
    "resize",
    "decoder",
    "first",
    "examples",
)

_AT_ONCE = 1000  # the others come with the next look
# Orders of code that knew of no end are open for a week.
_ENDS = func.coalesce(BATCH_ORDER.c.expires, BATCH_ORDER.c.created + 7 * 24 * 3600.0)


class OrderTables:
    """`sensory_service.ports.OrderCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def add(self, order: NewOrder, plans: Sequence[ShardPlan]) -> list[int]:
        """Store an order with its shards and return the ids of those not yet made."""
        with writing(self._database) as connection:
            row = {
                "id": order.id,
                "body": order.request.model_dump(mode="json"),
                "shards": len(plans),
                "examples": sum(plan.examples for plan in plans),
                "created": order.created,
                "expires": order.expires,
            }
            connection.execute(BATCH_ORDER.insert(), [row])
            shards = _find_or_make_shards(connection, plans, order.created)
            links = [
                {"batch_order": order.id, "sequence": sequence, "shard": shard.id}
                for sequence, shard in enumerate(shards, start=1)
            ]
            connection.execute(ORDER_SHARD.insert(), links)
            return [shard.id for shard in shards if shard.sha256 is None]

    def get(self, order: str) -> Order:
        """Return where an order stands."""
        with reading(self._database) as connection:
            row = _find(connection, order)
            ready = connection.execute(
                select(func.count())
                .select_from(ORDER_SHARD.join(SHARD, ORDER_SHARD.c.shard == SHARD.c.id))
                .where(ORDER_SHARD.c.batch_order == order, SHARD.c.sha256.is_not(None))
            ).scalar_one()
        return Order(
            id=order,
            state=row.ended or _progress(ready, row.shards),
            request=OrderRequest.model_validate(row.body),
            shards=row.shards,
            ready=ready,
            examples=row.examples,
            expires=row.expires,
            reason=row.reason,
        )

    def shard(self, order: str, sequence: int) -> ShardDescriptor | None:
        """Return a shard of an order once it is made."""
        with reading(self._database) as connection:
            row = _find(connection, order)
            _check_open(row, sequence)
            shard = connection.execute(
                select(SHARD)
                .join(ORDER_SHARD, ORDER_SHARD.c.shard == SHARD.c.id)
                .where(ORDER_SHARD.c.batch_order == order, ORDER_SHARD.c.sequence == sequence)
            ).one()
        if shard.sha256 is None:
            return None
        return ShardDescriptor(
            order=order,
            sequence=sequence,
            split=shard.split,
            sha256=shard.sha256,
            examples=shard.examples,
            last=sequence == row.shards,
            seed=row.body.get("seed"),
        )

    def cancel(self, order: str) -> None:
        """Cancel an order; a failed one stays failed."""
        with writing(self._database) as connection:
            _find(connection, order)
            connection.execute(
                BATCH_ORDER.update()
                .where(BATCH_ORDER.c.id == order, BATCH_ORDER.c.ended.is_(None))
                .values(ended="cancelled")
            )

    def expire(self, now: float) -> list[str]:
        """End the open orders whose time is over and return their ids."""
        over = (
            BATCH_ORDER.update()
            .where(now >= _ENDS, BATCH_ORDER.c.ended.is_(None))
            .values(ended="expired")
            .returning(BATCH_ORDER.c.id)
        )
        with writing(self._database) as connection:
            return list(connection.execute(over).scalars())

    def forget(self, now: float) -> list[str]:
        """Remove what is over for as long as it was open, and return the ids."""
        old = select(BATCH_ORDER.c.id).where(
            2 * _ENDS - BATCH_ORDER.c.created <= now, BATCH_ORDER.c.ended.is_not(None)
        )
        with writing(self._database) as connection:
            orders = list(connection.execute(old.limit(_AT_ONCE)).scalars())
            if orders:
                links = ORDER_SHARD.delete().where(ORDER_SHARD.c.batch_order.in_(orders))
                connection.execute(links)
                connection.execute(BATCH_ORDER.delete().where(BATCH_ORDER.c.id.in_(orders)))
            return orders


def _progress(ready: int, shards: int) -> OrderState:
    if ready == shards:
        return "complete"
    return "running" if ready else "accepted"


def _check_open(row: Row[Any], sequence: int) -> None:
    if row.ended == "cancelled":
        raise GoneError(f"the order {row.id} was cancelled", kind="order-cancelled")
    if row.ended == "expired":
        raise GoneError(f"the order {row.id} has expired: place it again", kind="order-expired")
    if row.ended == "failed":
        raise ConflictError(f"the order {row.id} failed: {row.reason}", kind="order-failed")
    if sequence > row.shards:
        raise NotFoundError(
            f"expected a shard of the order's {row.shards}, got number {sequence}",
            kind="unknown-shard",
        )


def _find(connection: Connection, order: str) -> Row[Any]:
    row = connection.execute(select(BATCH_ORDER).where(BATCH_ORDER.c.id == order)).first()
    if row is None:
        raise NotFoundError(f"there is no order {order}", kind="unknown-order")
    return row


def _find_or_make_shards(
    connection: Connection, plans: Sequence[ShardPlan], at: float
) -> list[Row[Any]]:
    # In one order for all who place one, so that none waits for a shard of who waits for it.
    ordered = sorted(plans, key=lambda plan: (SPLITS.index(plan.split), plan.first))
    rows = [_key(plan) | {"issued": at} for plan in ordered]
    insert_unless_there(connection, SHARD, rows, list(_KEY))
    # Locked, so that no result is discarded between this look and the order that holds it.
    look = select(SHARD).with_for_update()
    found = {plan: connection.execute(look.where(_has(_key(plan)))).one() for plan in ordered}
    asked = [row.id for row in found.values() if row.sha256 is None and row.issued < 0]
    for start in range(0, len(asked), _AT_ONCE):
        some = SHARD.c.id.in_(asked[start : start + _AT_ONCE])
        connection.execute(SHARD.update().where(some).values(issued=at))
    return [found[plan] for plan in plans]


def _key(plan: ShardPlan) -> dict[str, object]:
    height, width, channels = plan.shape
    return {
        "snapshot": plan.snapshot,
        "split": plan.split,
        "height": height,
        "width": width,
        "channels": channels,
        "resize": plan.resize,
        "decoder": DECODER,
        "first": plan.first,
        "examples": plan.examples,
    }


def _has(key: dict[str, object]) -> ColumnElement[bool]:
    return and_(*(SHARD.c[column] == value for column, value in key.items()))
