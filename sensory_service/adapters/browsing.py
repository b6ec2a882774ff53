"""One page of a dataset: every filter is a range of an index, and so is the cursor."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import Connection, Row, Select, and_, select, tuple_

from commons.errors import InvalidInputError, NotFoundError
from commons.messages import Category, DatasetImage, DatasetImages
from sensory_service.adapters.dataset_tables import categories_by, find_dataset
from sensory_service.adapters.opinion_tables import (
    AGREES,
    UNLABELED,
    is_disagreement,
    opinion_of,
)
from sensory_service.adapters.tables import APPEARANCE, CATEGORY, IMAGE, MEMBERSHIP, OPINION
from sensory_service.ports import Filter

# The size is that of the image: memberships of the first tables, or code, have none.
_COLUMNS = (
    MEMBERSHIP.c.id,
    MEMBERSHIP.c.image,
    MEMBERSHIP.c.category,
    MEMBERSHIP.c.split,
    MEMBERSHIP.c.added,
    MEMBERSHIP.c.labeled_by,
    MEMBERSHIP.c.changed,
    MEMBERSHIP.c.source,
    CATEGORY.c.name,
    IMAGE.c.height,
    IMAGE.c.width,
    IMAGE.c.channels,
    OPINION.c.network,
    OPINION.c.top,
    OPINION.c.confidence,
    OPINION.c.margin,
    OPINION.c.at,
    APPEARANCE.c.cluster,
)


# Values of one IN list; of a larger group the oldest are shown.
_LARGEST_GROUP = 10_000


class _Order(NamedTuple):
    """What pages are sorted by: a value, if there is one, and a number, in one direction."""

    value: sqlalchemy.Column[Any] | None
    number: sqlalchemy.Column[Any]
    is_descending: bool = True


def browse(connection: Connection, which: Filter, cursor: str | None, limit: int) -> DatasetImages:
    """Return at most `limit` images in their order."""
    dataset = find_dataset(connection, which.dataset).id
    order = _order_of(which)
    query = images_of(dataset, by_opinion=which.is_about_opinions)
    query = query.where(*_narrowed(connection, dataset, which)).order_by(*_sorted_by(order))
    if cursor is not None:
        query = query.where(_after(cursor, order))
    rows = connection.execute(query.limit(limit + 1)).all()
    page = rows[:limit]
    return DatasetImages(
        images=shown(connection, dataset, page),
        cursor=_cursor(page[-1], order) if len(rows) > limit else None,
    )


def lookup(connection: Connection, dataset: str, images: Sequence[str]) -> list[DatasetImage]:
    """Return those of some images that are in a dataset."""
    number = find_dataset(connection, dataset).id
    query = images_of(number).where(MEMBERSHIP.c.image.in_(images))
    return shown(connection, number, connection.execute(query).all())


def images_of(dataset: int, *, by_opinion: bool = False) -> Select[Any]:
    """Return the question for the images of a dataset, or for those with an opinion.

    The latter are to be found by the indexes of the opinions: what else they have in common is
    asked of every row.
    """
    of_opinion = OPINION.c.membership == MEMBERSHIP.c.id
    if by_opinion:
        sources = OPINION.join(MEMBERSHIP, of_opinion)
    else:
        sources = MEMBERSHIP.outerjoin(OPINION, of_opinion)
    sources = (
        sources.join(IMAGE, MEMBERSHIP.c.image == IMAGE.c.sha256)
        .outerjoin(CATEGORY, MEMBERSHIP.c.category == CATEGORY.c.id)
        .outerjoin(APPEARANCE, MEMBERSHIP.c.image == APPEARANCE.c.image)
    )
    of_dataset = (OPINION if by_opinion else MEMBERSHIP).c.dataset == dataset
    return select(*_COLUMNS).select_from(sources).where(of_dataset)


def shown(connection: Connection, dataset: int, rows: Sequence[Row[Any]]) -> list[DatasetImage]:
    """Return the images of some rows."""
    has_opinions = any(row.network is not None for row in rows)
    names = categories_by("id", connection, dataset, None) if has_opinions else {}
    return [_dataset_image(row, names) for row in rows]


def _order_of(which: Filter) -> _Order:
    if which.order == "uncertain":
        return _Order(OPINION.c.margin, OPINION.c.membership, is_descending=False)
    if which.order != "newest":
        return _Order(OPINION.c.confidence, OPINION.c.membership)
    is_timed = which.since is not None or which.until is not None
    number = OPINION.c.membership if which.is_about_opinions else MEMBERSHIP.c.id
    return _Order(MEMBERSHIP.c.changed if is_timed else None, number)


def _sorted_by(order: _Order) -> list[sqlalchemy.ColumnElement[Any]]:
    columns = [order.number] if order.value is None else [order.value, order.number]
    return [column.desc() if order.is_descending else column.asc() for column in columns]


def _narrowed(
    connection: Connection, dataset: int, which: Filter
) -> Iterable[sqlalchemy.ColumnElement[bool]]:
    if which.labeled is not None:
        labeled = MEMBERSHIP.c.category.is_not(None)
        yield labeled if which.labeled else ~labeled
    if which.category is not None:
        yield MEMBERSHIP.c.category == _category(connection, dataset, which, which.category)
    if which.who is not None:
        yield MEMBERSHIP.c.labeled_by == which.who
    if which.split is not None:
        yield MEMBERSHIP.c.split == which.split
    if which.source is not None:
        yield MEMBERSHIP.c.source == which.source
    if which.group is not None:
        # A group is small. Its images are asked for first, and not every image for its group.
        of_group = select(MEMBERSHIP.c.id).select_from(
            APPEARANCE.outerjoin(
                MEMBERSHIP,
                and_(MEMBERSHIP.c.image == APPEARANCE.c.image, MEMBERSHIP.c.dataset == dataset),
            )
        )
        query = of_group.where(APPEARANCE.c.cluster == which.group).order_by(MEMBERSHIP.c.id)
        numbers = connection.execute(query.limit(_LARGEST_GROUP)).scalars()
        yield MEMBERSHIP.c.id.in_([number for number in numbers if number is not None])
    if which.since is not None:
        yield MEMBERSHIP.c.changed >= which.since
    if which.until is not None:
        yield MEMBERSHIP.c.changed < which.until
    yield from _narrowed_by_opinion(connection, dataset, which)


def _narrowed_by_opinion(
    connection: Connection, dataset: int, which: Filter
) -> Iterable[sqlalchemy.ColumnElement[bool]]:
    if which.order == "disagreement" or which.disagrees:
        yield is_disagreement()
    elif which.order != "newest":
        # Code that knows of no opinions leaves the state as it was: the label has the last word.
        yield OPINION.c.state == UNLABELED
        yield MEMBERSHIP.c.category.is_(None)
    if which.disagrees is False:
        yield OPINION.c.state == AGREES
        yield MEMBERSHIP.c.category == OPINION.c.category
    if which.said is not None:
        yield OPINION.c.category == _category(connection, dataset, which, which.said)
    if which.min_confidence is not None:
        yield OPINION.c.confidence >= which.min_confidence
    if which.max_confidence is not None:
        yield OPINION.c.confidence <= which.max_confidence


def _category(connection: Connection, dataset: int, which: Filter, name: str) -> str:
    query = select(CATEGORY.c.id, CATEGORY.c.merged_into).where(
        CATEGORY.c.dataset == dataset, CATEGORY.c.name == name
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(f"{which.dataset} has no category {name!r}", kind="unknown-category")
    return str(row.merged_into or row.id)


def _cursor(row: Row[Any], order: _Order) -> str:
    if order.value is None:
        return str(row.id)
    return f"{row._mapping[order.value]!r}:{row.id}"


def _after(cursor: str, order: _Order) -> sqlalchemy.ColumnElement[bool]:
    value, _, number = cursor.rpartition(":")
    try:
        last = int(number)
        if order.value is not None:
            place, found = tuple_(order.value, order.number), (float(value), last)
            return place < found if order.is_descending else place > found
    except ValueError as error:
        raise InvalidInputError(
            f"expected the cursor of a page before, got {cursor[:100]!r}"
        ) from error
    if value or not 0 <= last < 1 << 63:
        raise InvalidInputError(f"expected the cursor of a page before, got {cursor[:100]!r}")
    return order.number < last


def _dataset_image(row: Row[Any], names: Mapping[str, Category]) -> DatasetImage:
    category = row.category and Category(id=row.category, name=row.name)
    return DatasetImage(
        image=row.image,
        category=category,
        split=row.split,
        height=row.height,
        width=row.width,
        channels=row.channels,
        added=row.added,
        who=row.labeled_by,
        changed=row.added if row.changed is None else row.changed,
        source=row.source,
        group=row.cluster,
        opinion=opinion_of(row, names),
    )
