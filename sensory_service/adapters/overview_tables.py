"""Figures about whole datasets in tables: one pass over one index each."""

import sqlalchemy
from sqlalchemy import Connection, func, select

from commons.adapters.database import reading
from commons.label_messages import Balance, BalanceCell, SourceCount
from commons.messages import Category
from sensory_service.adapters.appearance_tables import count_groups
from sensory_service.adapters.dataset_tables import find_dataset
from sensory_service.adapters.opinion_tables import is_disagreement
from sensory_service.adapters.tables import CATEGORY, MEMBERSHIP, OPINION


class OverviewTables:
    """`sensory_service.ports.OverviewCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def balance(self, dataset: str) -> Balance:
        """Return how the images are spread over categories, splits and sources."""
        with reading(self._database) as connection:
            number = find_dataset(connection, dataset).id
            return Balance(
                cells=_cells(connection, number),
                sources=_sources(connection, number),
                groups=count_groups(connection, number),
            )


def _cells(connection: Connection, dataset: int) -> list[BalanceCell]:
    """Return the counts by category, in the order of their making, and split; none last."""
    counted = select(MEMBERSHIP.c.category, MEMBERSHIP.c.split, func.count().label("images"))
    counted = counted.where(MEMBERSHIP.c.dataset == dataset)
    rows = connection.execute(counted.group_by(MEMBERSHIP.c.split, MEMBERSHIP.c.category)).all()
    categories = _categories(connection, dataset)
    disagreeing = _disagreeing(connection, dataset)
    order = {category: place for place, category in enumerate([*categories, None])}
    return [
        BalanceCell(
            category=categories[row.category] if row.category else None,
            split=row.split,
            images=row.images,
            disagreeing=disagreeing.get((row.category, row.split), 0),
        )
        for row in sorted(rows, key=lambda row: (order[row.category], row.split or "~"))
    ]


def _disagreeing(connection: Connection, dataset: int) -> dict[tuple[str, str | None], int]:
    columns = (MEMBERSHIP.c.category, MEMBERSHIP.c.split)
    query = (
        select(*columns, func.count().label("images"))
        .join_from(OPINION, MEMBERSHIP, OPINION.c.membership == MEMBERSHIP.c.id)
        .where(OPINION.c.dataset == dataset, is_disagreement())
        .group_by(*columns)
    )
    return {(row.category, row.split): row.images for row in connection.execute(query)}


def _categories(connection: Connection, dataset: int) -> dict[str, Category]:
    query = select(CATEGORY.c.id, CATEGORY.c.name).where(CATEGORY.c.dataset == dataset)
    rows = connection.execute(query.order_by(CATEGORY.c.number))
    return {row.id: Category(id=row.id, name=row.name) for row in rows}


def _sources(connection: Connection, dataset: int) -> list[SourceCount]:
    query = select(MEMBERSHIP.c.source, func.count().label("images")).where(
        MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.category.is_not(None)
    )
    rows = connection.execute(query.group_by(MEMBERSHIP.c.source))
    counts = [SourceCount(source=row.source, images=row.images) for row in rows]
    return sorted(counts, key=lambda count: -count.images)
