"""Which unlabeled images are free, and which of them to begin with."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, FromClause, Row, Select, and_, or_, select

from commons.label_messages import QueueOrder
from sensory_service.adapters.opinion_tables import UNLABELED
from sensory_service.adapters.tables import APPEARANCE, LABEL_CLAIM, MEMBERSHIP, OPINION
from sensory_service.appearance import shape_of
from sensory_service.ports import Lease
from sensory_service.queueing import Floats, diverse

_COLUMNS = (
    MEMBERSHIP.c.id,
    MEMBERSHIP.c.image,
    OPINION.c.margin,
    APPEARANCE.c.cluster,
    APPEARANCE.c.grey,
)
# Of so many times as many the most different ones are taken.
_CHOICE = 5
# Of one group, so many may stand before the first of the next.
_MOST_ALIKE = 500
# So that what a network is sure of is worth more than nothing.
_LEAST_DOUBT = 0.01


def find_free(
    connection: Connection, dataset: int, lease: Lease, said: str | None, own: Sequence[Row[Any]]
) -> list[Row[Any]]:
    """Return unlabeled images that nobody holds and this client did not skip, in their order.

    Of images that look alike one is enough: what is said of it can be said of all.
    """
    groups = _groups_held(connection, dataset, lease.at)
    taken, found = {row.id for row in own}, list[Row[Any]]()
    for query in _ways(dataset, lease, said):
        count = lease.request.limit - len(own) - len(found)
        if count > 0:
            rows = _candidates(connection, query.where(_is_free(lease)), groups, _CHOICE * count)
            rows = [row for row in rows if row.id not in taken]
            some = _most_telling([*own, *found], rows, count, lease.request.order)
            taken |= {row.id for row in some}
            groups |= {row.cluster for row in some}
            found += some
    return found


def _groups_held(connection: Connection, dataset: int, now: float) -> set[str]:
    claimed = LABEL_CLAIM.join(MEMBERSHIP, LABEL_CLAIM.c.membership == MEMBERSHIP.c.id)
    query = (
        select(APPEARANCE.c.cluster)
        .select_from(claimed.join(APPEARANCE, APPEARANCE.c.image == MEMBERSHIP.c.image))
        .where(
            LABEL_CLAIM.c.dataset == dataset,
            LABEL_CLAIM.c.until > now,
            LABEL_CLAIM.c.skipped.is_(False),
            MEMBERSHIP.c.category.is_(None),
        )
    )
    return set(connection.execute(query).scalars())


def _candidates(
    connection: Connection, query: Select[Any], groups: set[str], count: int
) -> list[Row[Any]]:
    """Return the first of every group that nobody holds any of."""
    seen, found = set(groups), list[Row[Any]]()
    for row in connection.execute(query.limit(count + _MOST_ALIKE)):
        if row.cluster is None or row.cluster not in seen:
            seen.add(row.cluster)
            found.append(row)
    return found[:count]


def _most_telling(
    before: Sequence[Row[Any]], rows: Sequence[Row[Any]], count: int, order: QueueOrder
) -> list[Row[Any]]:
    """Return those to begin with: in the order that was asked for, or the most uncertain ones."""
    if order != "uncertain":
        return list(rows[:count])
    places = diverse(
        [_shape(row) for row in rows],
        [1.0 if row.margin is None else 1.0 + _LEAST_DOUBT - row.margin for row in rows],
        count,
        [shape for row in before if (shape := _shape(row)) is not None],
    )
    return [rows[place] for place in places]


def _shape(row: Row[Any]) -> Floats | None:
    return None if row.grey is None else shape_of(row.grey)


def _ways(dataset: int, lease: Lease, said: str | None) -> list[Select[Any]]:
    """Return the questions that find images in their order, one after the other."""
    order = lease.request.order
    if said is not None:
        return [_said(dataset, said, order)]
    if order == "uncertain":
        by_margin = _with_opinion(dataset).order_by(OPINION.c.margin, OPINION.c.membership)
        unjudged = _unlabeled(dataset).where(OPINION.c.membership.is_(None))
        return [by_margin, unjudged.order_by(MEMBERSHIP.c.id.desc())]
    if order == "random":
        # The hashes are as good as drawn: from some place on, and then from the first.
        rest = _unlabeled(dataset).order_by(MEMBERSHIP.c.image)
        return [rest.where(MEMBERSHIP.c.image >= lease.draw), rest]
    newest = MEMBERSHIP.c.id.desc() if order == "newest" else MEMBERSHIP.c.id.asc()
    return [_unlabeled(dataset).order_by(newest)]


def _said(dataset: int, said: str, order: QueueOrder) -> Select[Any]:
    query = _with_opinion(dataset).where(OPINION.c.category == said)
    if order in ("newest", "oldest"):
        number = OPINION.c.membership
        return query.order_by(number.desc() if order == "newest" else number.asc())
    # The least probable of one category are those with the smallest margins, but for few.
    return query.order_by(OPINION.c.confidence, OPINION.c.membership)


def _with_opinion(dataset: int) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .select_from(
            OPINION.join(MEMBERSHIP, OPINION.c.membership == MEMBERSHIP.c.id).outerjoin(
                APPEARANCE, APPEARANCE.c.image == MEMBERSHIP.c.image
            )
        )
        .where(
            OPINION.c.dataset == dataset,
            OPINION.c.state == UNLABELED,
            MEMBERSHIP.c.category.is_(None),
        )
    )


def unlabeled(memberships: FromClause) -> Select[Any]:
    """Return the query for all of some memberships that have no label."""
    return (
        select(*_COLUMNS)
        .select_from(
            memberships.outerjoin(OPINION, OPINION.c.membership == MEMBERSHIP.c.id).outerjoin(
                APPEARANCE, APPEARANCE.c.image == MEMBERSHIP.c.image
            )
        )
        .where(MEMBERSHIP.c.category.is_(None))
    )


def _unlabeled(dataset: int) -> Select[Any]:
    return unlabeled(MEMBERSHIP).where(MEMBERSHIP.c.dataset == dataset)


def _is_free(lease: Lease) -> sqlalchemy.ColumnElement[bool]:
    mine = LABEL_CLAIM.c.client == lease.request.client
    held = and_(
        LABEL_CLAIM.c.membership == MEMBERSHIP.c.id,
        LABEL_CLAIM.c.until > lease.at,
        or_(mine, LABEL_CLAIM.c.skipped.is_(False)),
    )
    return ~select(LABEL_CLAIM.c.membership).where(held).exists()
