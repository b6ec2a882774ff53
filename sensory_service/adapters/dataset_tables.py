"""Datasets and their categories in tables, with their counts."""

from collections.abc import Collection
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects import postgresql, sqlite

from commons.adapters.database import reading
from commons.errors import NotFoundError
from commons.messages import Category, CategoryCount, DatasetSummary
from sensory_service.adapters.tables import CATEGORY, DATASET


class DatasetTables:
    """`sensory_service.ports.DatasetCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def summaries(self) -> list[DatasetSummary]:
        """Return all datasets by name."""
        with reading(self._database) as connection:
            rows = connection.execute(select(DATASET).order_by(DATASET.c.name)).all()
            return [_summary(connection, row) for row in rows]

    def summary(self, dataset: str) -> DatasetSummary:
        """Return one dataset with its categories in the order of their making."""
        with reading(self._database) as connection:
            return _summary(connection, find_dataset(connection, dataset))


def find_dataset(connection: Connection, name: str) -> Row[Any]:
    """Return the row of a dataset, locked until the end of a writing transaction.

    Raises:
        NotFoundError: No dataset has this name.
    """
    query = select(DATASET).where(DATASET.c.name == name)
    if not connection.get_execution_options().get("reading"):
        # Writers of one dataset take turns, so that counts and labels agree on PostgreSQL too.
        query = query.with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(f"there is no dataset named {name}", kind="unknown-dataset")
    return row


def find_or_make_dataset(connection: Connection, name: str, now: float) -> int:
    """Return the id of a dataset, made when it is new."""
    try:
        found = find_dataset(connection, name)
    except NotFoundError:
        new: dict[str, object] = {"name": name, "images": 0, "created": now}
        insert_unless_there(connection, DATASET, [new], ["name"])
        found = find_dataset(connection, name)
    number: int = found.id
    return number


def find_or_make_category(
    connection: Connection, dataset: int, category: Category, now: float
) -> Category:
    """Return the category of this name; the id that was handed in counts only if it is new."""
    found = connection.execute(
        select(CATEGORY).where(CATEGORY.c.dataset == dataset, CATEGORY.c.name == category.name)
    ).first()
    if found is not None and found.merged_into is not None:
        # What was merged is an alias: an import that is run again finds its images labeled.
        target = select(CATEGORY).where(CATEGORY.c.id == found.merged_into)
        found = connection.execute(target).one()
    if found is not None:
        return Category(id=found.id, name=found.name)
    last = select(func.max(CATEGORY.c.number)).where(CATEGORY.c.dataset == dataset)
    connection.execute(
        CATEGORY.insert().values(
            id=category.id,
            dataset=dataset,
            number=(connection.execute(last).scalar() or 0) + 1,
            name=category.name,
            images=0,
            created=now,
        )
    )
    return category


def find_category(connection: Connection, name: str, dataset: int, category: str) -> Row[Any]:
    """Return the row of a category (by id) of a dataset.

    Raises:
        NotFoundError: The dataset has no such category, or it was merged into another.
    """
    row = connection.execute(
        select(CATEGORY).where(
            CATEGORY.c.dataset == dataset,
            CATEGORY.c.id == category,
            CATEGORY.c.merged_into.is_(None),
        )
    ).first()
    if row is None:
        raise NotFoundError(
            f"{name} has no category with the id {category}", kind="unknown-category"
        )
    return row


def categories_by(
    key: Literal["id", "name"], connection: Connection, dataset: int, keys: Collection[str] | None
) -> dict[str, Category]:
    """Return categories of a dataset by their ids or names; one that was merged is the new one.

    Args:
        key: What they are looked up by.
        connection: Reads.
        dataset: The dataset's number.
        keys: Only these; None gives all.
    """
    into = CATEGORY.alias()
    query = (
        select(
            CATEGORY.c[key].label("said"),
            func.coalesce(into.c.id, CATEGORY.c.id).label("id"),
            func.coalesce(into.c.name, CATEGORY.c.name).label("name"),
        )
        .select_from(CATEGORY.outerjoin(into, CATEGORY.c.merged_into == into.c.id))
        .where(CATEGORY.c.dataset == dataset)
    )
    if keys is not None:
        query = query.where(CATEGORY.c[key].in_(keys))
    return {row.said: Category(id=row.id, name=row.name) for row in connection.execute(query)}


def insert_unless_there(
    connection: Connection,
    table: sqlalchemy.Table,
    rows: list[dict[str, object]],
    key: list[str],
) -> None:
    """Insert the rows whose key is not taken yet."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(index_elements=key), rows)


def _summary(connection: Connection, row: Row[Any]) -> DatasetSummary:
    categories = connection.execute(
        select(CATEGORY.c.id, CATEGORY.c.name, CATEGORY.c.images)
        .where(CATEGORY.c.dataset == row.id, CATEGORY.c.merged_into.is_(None))
        .order_by(CATEGORY.c.number)
    ).all()
    return DatasetSummary(
        name=row.name,
        images=row.images,
        labeled=sum(category.images for category in categories),
        categories=[
            CategoryCount(id=category.id, name=category.name, images=category.images)
            for category in categories
        ],
    )
