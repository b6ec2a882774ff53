"""Categories and the history of labels in tables."""

from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Row, func, insert, literal, select

from commons.adapters.database import reading, writing
from commons.errors import ConflictError, InvalidInputError, NotFoundError
from commons.messages import Category, ImageEvent, ImageHistory
from sensory_service.adapters.dataset_tables import (
    find_category,
    find_dataset,
    find_or_make_category,
    find_or_make_dataset,
)
from sensory_service.adapters.opinion_tables import category_merged
from sensory_service.adapters.tables import CATEGORY, LABEL_EVENT, MEMBERSHIP, REMOVED
from sensory_service.ports import Merge

# In the id of what is only a former name of a category; no category has it in its own.
_FORMER = ":"


class LabelTables:
    """`sensory_service.ports.LabelCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def history(self, dataset: str, image: str) -> ImageHistory:
        """Return every event of an image in a dataset, oldest first."""
        with reading(self._database) as connection:
            number = find_dataset(connection, dataset).id
            present = _is_in(connection, MEMBERSHIP, number, image)
            if not present and not _is_in(connection, REMOVED, number, image):
                raise NotFoundError(f"{dataset} has no image {image}", kind="unknown-image")
            rows = connection.execute(
                select(LABEL_EVENT, CATEGORY.c.name)
                .join_from(LABEL_EVENT, CATEGORY, isouter=True)
                .where(LABEL_EVENT.c.dataset == number, LABEL_EVENT.c.image == image)
                .order_by(LABEL_EVENT.c.id)
            ).all()
        return ImageHistory(
            image=image, dataset=dataset, present=present, events=[_event(row) for row in rows]
        )

    def add(self, dataset: str, category: Category, at: float) -> Category:
        """Return the category of this name; the id that was handed in counts if it is new."""
        with writing(self._database) as connection:
            number = find_or_make_dataset(connection, dataset, at)
            _free_former(connection, number, category.name)
            return find_or_make_category(connection, number, category, at)

    def rename(self, dataset: str, category: str, name: str) -> Category:
        """Give a category (by id) another name; the one it had means it until another takes it."""
        with writing(self._database) as connection:
            number = find_dataset(connection, dataset).id
            found = find_category(connection, dataset, number, category)
            _free_former(connection, number, name)
            holder = connection.execute(
                select(CATEGORY).where(CATEGORY.c.dataset == number, CATEGORY.c.name == name)
            ).first()
            if holder is None:
                _set_name(connection, found.id, name)
                _keep_former(connection, found)
            elif holder.id != found.id:
                if holder.merged_into != found.id:
                    raise ConflictError(
                        f"{dataset} has a category {name!r} already: merge the two",
                        kind="category-exists",
                    )
                # Its own alias: the two names change places. No person can type the one between.
                _set_name(connection, holder.id, f"\x01{holder.id}")
                _set_name(connection, found.id, name)
                _set_name(connection, holder.id, found.name)
        return Category(id=found.id, name=name)

    def merge(self, merge: Merge) -> Category:
        """Give all images of one category to another, as one label event each."""
        with writing(self._database) as connection:
            dataset = find_dataset(connection, merge.dataset).id
            source = find_category(connection, merge.dataset, dataset, merge.category)
            target = find_category(connection, merge.dataset, dataset, merge.into)
            if source.id == target.id:
                raise InvalidInputError("expected two categories to merge, got the same one twice")
            _move(connection, dataset, source, target, merge)
        return Category(id=target.id, name=target.name)


def _move(
    connection: Connection, dataset: int, source: Row[Any], target: Row[Any], merge: Merge
) -> None:
    of_source = (MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.category == source.id)
    moved = select(
        MEMBERSHIP.c.dataset,
        MEMBERSHIP.c.image,
        literal(target.id),
        literal(merge.who, sqlalchemy.String),
        literal(merge.at),
        literal("merged"),
    ).where(*of_source)
    events = ["dataset", "image", "category", "who", "at", "kind"]
    connection.execute(insert(LABEL_EVENT).from_select(events, moved))
    connection.execute(
        MEMBERSHIP.update()
        .where(*of_source)
        .values(category=target.id, labeled_by=merge.who, changed=merge.at, source=None)
    )
    category_merged(connection, dataset, source.id, target.id)
    connection.execute(
        REMOVED.update()
        .where(REMOVED.c.dataset == dataset, REMOVED.c.category == source.id)
        .values(category=target.id)
    )
    # Whoever sends the old name again means the new category, and so did its aliases.
    aliases = (CATEGORY.c.id == source.id) | (CATEGORY.c.merged_into == source.id)
    connection.execute(
        CATEGORY.update()
        .where(CATEGORY.c.dataset == dataset, aliases)
        .values(merged_into=target.id, images=0)
    )
    connection.execute(
        CATEGORY.update()
        .where(CATEGORY.c.id == target.id)
        .values(images=CATEGORY.c.images + source.images)
    )


def _set_name(connection: Connection, category: str, name: str) -> None:
    connection.execute(CATEGORY.update().where(CATEGORY.c.id == category).values(name=name))


def _keep_former(connection: Connection, category: Row[Any]) -> None:
    last = select(func.max(CATEGORY.c.number)).where(CATEGORY.c.dataset == category.dataset)
    number = connection.execute(last).scalar_one() + 1
    connection.execute(
        CATEGORY.insert().values(
            id=f"{category.id}{_FORMER}{number}",
            dataset=category.dataset,
            number=number,
            name=category.name,
            images=0,
            created=category.created,
            merged_into=category.id,
        )
    )


def _free_former(connection: Connection, dataset: int, name: str) -> None:
    # Unlike what was merged, no event of any history speaks of it.
    connection.execute(
        CATEGORY.delete().where(
            CATEGORY.c.dataset == dataset,
            CATEGORY.c.name == name,
            CATEGORY.c.id.contains(_FORMER),
        )
    )


def _is_in(connection: Connection, table: sqlalchemy.Table, dataset: int, image: str) -> bool:
    query = select(table.c.image).where(table.c.dataset == dataset, table.c.image == image)
    return connection.execute(query).first() is not None


def _event(row: Row[Any]) -> ImageEvent:
    category = row.category and Category(id=row.category, name=row.name)
    return ImageEvent(
        kind=row.kind or "labeled",
        category=category,
        who=row.who,
        at=row.at,
        source=row.source,
    )
