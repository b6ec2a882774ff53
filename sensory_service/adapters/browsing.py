"""One page of a dataset: every filter is a range of an index, and so is the cursor."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Row, Select, select, tuple_

from commons.errors import InvalidInputError, NotFoundError
from commons.messages import Category, DatasetImage, DatasetImages
from sensory_service.adapters.dataset_tables import find_dataset
from sensory_service.adapters.tables import CATEGORY, IMAGE, MEMBERSHIP
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
)


def browse(connection: Connection, which: Filter, cursor: str | None, limit: int) -> DatasetImages:
    """Return at most `limit` images, newest first."""
    query = _page(connection, which)
    if cursor is not None:
        query = query.where(_before(cursor, timed=_is_timed(which)))
    rows = connection.execute(query.limit(limit + 1)).all()
    page = rows[:limit]
    return DatasetImages(
        images=[_dataset_image(row) for row in page],
        cursor=_cursor(page[-1], which) if len(rows) > limit else None,
    )


def lookup(connection: Connection, dataset: str, images: Sequence[str]) -> list[DatasetImage]:
    """Return those of some images that are in a dataset."""
    number = find_dataset(connection, dataset).id
    query = _images_of(number).where(MEMBERSHIP.c.image.in_(images))
    return [_dataset_image(row) for row in connection.execute(query)]


def _is_timed(which: Filter) -> bool:
    return which.since is not None or which.until is not None


def _page(connection: Connection, which: Filter) -> Select[Any]:
    dataset = find_dataset(connection, which.dataset).id
    newest = [MEMBERSHIP.c.id.desc()]
    if _is_timed(which):
        newest.insert(0, MEMBERSHIP.c.changed.desc())
    return _images_of(dataset).where(*_narrowed(connection, dataset, which)).order_by(*newest)


def _images_of(dataset: int) -> Select[Any]:
    sources = MEMBERSHIP.join(IMAGE, MEMBERSHIP.c.image == IMAGE.c.sha256).outerjoin(
        CATEGORY, MEMBERSHIP.c.category == CATEGORY.c.id
    )
    return select(*_COLUMNS).select_from(sources).where(MEMBERSHIP.c.dataset == dataset)


def _narrowed(
    connection: Connection, dataset: int, which: Filter
) -> Iterable[sqlalchemy.ColumnElement[bool]]:
    if which.labeled is not None:
        labeled = MEMBERSHIP.c.category.is_not(None)
        yield labeled if which.labeled else ~labeled
    if which.category is not None:
        yield MEMBERSHIP.c.category == _category(connection, dataset, which)
    if which.who is not None:
        yield MEMBERSHIP.c.labeled_by == which.who
    if which.split is not None:
        yield MEMBERSHIP.c.split == which.split
    if which.source is not None:
        yield MEMBERSHIP.c.source == which.source
    if which.since is not None:
        yield MEMBERSHIP.c.changed >= which.since
    if which.until is not None:
        yield MEMBERSHIP.c.changed < which.until


def _category(connection: Connection, dataset: int, which: Filter) -> str:
    query = select(CATEGORY.c.id, CATEGORY.c.merged_into).where(
        CATEGORY.c.dataset == dataset, CATEGORY.c.name == which.category
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(
            f"{which.dataset} has no category {which.category!r}", kind="unknown-category"
        )
    return str(row.merged_into or row.id)


def _cursor(row: Row[Any], which: Filter) -> str:
    return f"{row.changed!r}:{row.id}" if _is_timed(which) else str(row.id)


def _before(cursor: str, *, timed: bool) -> sqlalchemy.ColumnElement[bool]:
    changed, _, number = cursor.rpartition(":")
    try:
        last = int(number)
        if timed:
            return tuple_(MEMBERSHIP.c.changed, MEMBERSHIP.c.id) < (float(changed), last)
    except ValueError as error:
        raise InvalidInputError(
            f"expected the cursor of a page before, got {cursor[:100]!r}"
        ) from error
    if changed or not 0 <= last < 1 << 63:
        raise InvalidInputError(f"expected the cursor of a page before, got {cursor[:100]!r}")
    return MEMBERSHIP.c.id < last


def _dataset_image(row: Row[Any]) -> DatasetImage:
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
    )
