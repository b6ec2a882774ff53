"""What images look like, in tables, and the groups of those that look alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Row, Select, and_, case, func, select

from commons.adapters.database import reading, writing
from commons.errors import InvalidInputError
from commons.label_messages import ImageGroup, ImageGroups
from sensory_service.adapters.dataset_tables import find_dataset, insert_unless_there
from sensory_service.adapters.erasure_marks import check_none_erased
from sensory_service.adapters.tables import APPEARANCE, MEMBERSHIP
from sensory_service.appearance import Appearance, alike, difference
from sensory_service.ports import ErasedMeanwhileError

_BANDS = (APPEARANCE.c.b0, APPEARANCE.c.b1, APPEARANCE.c.b2, APPEARANCE.c.b3)
_CANDIDATES = 125  # by each band
_EXAMPLES = 6
_PAGE = 500
_MOST_PAGES = 20  # of groups, most of them of other datasets
_HASH_DIGITS = 64


class AppearanceTables:
    """`sensory_service.ports.AppearanceCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def unlooked(self, after: int, limit: int) -> tuple[list[str], int]:
        """Return which images of the next memberships nobody looked at, and the last of these."""
        page = (
            select(MEMBERSHIP.c.id, MEMBERSHIP.c.image)
            .where(MEMBERSHIP.c.id > after)
            .order_by(MEMBERSHIP.c.id)
            .limit(limit)
            .subquery()
        )
        query = select(page.c.id, page.c.image, APPEARANCE.c.image.label("looked"))
        query = query.select_from(
            page.outerjoin(APPEARANCE, page.c.image == APPEARANCE.c.image)
        ).order_by(page.c.id)
        with reading(self._database) as connection:
            rows = connection.execute(query).all()
        images = dict.fromkeys(row.image for row in rows if row.looked is None)
        return list(images), rows[-1].id if rows else after

    def add(self, seen: Mapping[str, Appearance]) -> None:
        """Write down what images look like, each with its group; not of those that are erased."""
        left = dict(seen)
        while left:
            try:
                with writing(self._database) as connection:
                    check_none_erased(connection, list(left))
                    for image, appearance in left.items():
                        _add(connection, image, appearance)
                return
            except ErasedMeanwhileError as error:
                left = {image: one for image, one in left.items() if image not in error.erased}

    def groups(self, dataset: str, cursor: str | None, limit: int, *, mixed: bool) -> ImageGroups:
        """Return groups of at least two images of a dataset, by their names."""
        if cursor is not None and len(cursor) != _HASH_DIGITS:
            raise InvalidInputError(f"expected the cursor of a page before, got {cursor[:100]!r}")
        last, found = cursor or "", list[Row[Any]]()
        with reading(self._database) as connection:
            number = find_dataset(connection, dataset).id
            for _ in range(_MOST_PAGES):
                names = list(connection.execute(_followed(last)).scalars())
                if names:
                    found += connection.execute(_counted(number, names, mixed=mixed)).all()
                    last = names[-1]
                if len(names) < _PAGE:
                    last = ""
                    break
                if len(found) >= limit:
                    break
            if len(found) > limit:
                found, last = found[:limit], found[limit - 1].cluster
            examples = _examples(connection, number, [row.cluster for row in found])
        return ImageGroups(
            groups=[
                ImageGroup(
                    group=row.cluster,
                    images=row.images,
                    categories=row.categories,
                    examples=examples[row.cluster],
                )
                for row in found
            ],
            cursor=last or None,
        )


def count_groups(connection: Connection, dataset: int) -> int:
    """Return how many groups have two images of a dataset at least."""
    followers = select(APPEARANCE.c.cluster).where(APPEARANCE.c.cluster != APPEARANCE.c.image)
    groups = _members(dataset).where(APPEARANCE.c.cluster.in_(followers)).subquery()
    return int(connection.execute(select(func.count()).select_from(groups)).scalar_one())


def forget_appearance(connection: Connection, image: str) -> None:
    """Take away what an image looks like, for it is about to be erased."""
    connection.execute(APPEARANCE.delete().where(APPEARANCE.c.image == image))


def _add(connection: Connection, image: str, appearance: Appearance) -> None:
    row: dict[str, object] = {
        "image": image,
        "grey": appearance.grey,
        "hash": _signed(appearance.hash),
        "cluster": _group_of(connection, appearance) or image,
    }
    row |= {column.name: band for column, band in zip(_BANDS, appearance.bands, strict=True)}
    insert_unless_there(connection, APPEARANCE, [row], ["image"])


def _group_of(connection: Connection, appearance: Appearance) -> str | None:
    """Return the group of the nearest image that looks alike."""
    nearest: tuple[float, str] | None = None
    for column, band in zip(_BANDS, appearance.bands, strict=True):
        query = select(APPEARANCE.c.hash, APPEARANCE.c.grey, APPEARANCE.c.cluster)
        rows = connection.execute(query.where(column == band).limit(_CANDIDATES))
        for row in rows:
            other = Appearance(row.hash % (1 << 64), row.grey)
            if alike(appearance, other):
                found = (difference(appearance.grey, other.grey), row.cluster)
                nearest = min(nearest, found) if nearest else found
    return nearest[1] if nearest else None


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _followed(after: str) -> Select[Any]:
    """Return the question for the names of groups that somebody joined."""
    return (
        select(APPEARANCE.c.cluster)
        .distinct()
        .where(APPEARANCE.c.cluster != APPEARANCE.c.image, APPEARANCE.c.cluster > after)
        .order_by(APPEARANCE.c.cluster)
        .limit(_PAGE)
    )


def _is_of(dataset: int) -> sqlalchemy.ColumnElement[bool]:
    """Return what joins looks to the images of a dataset.

    For an outer join: SQLite, which knows nothing of how large a dataset is, would begin with all
    images of it and not with the few that are in groups.
    """
    return and_(MEMBERSHIP.c.image == APPEARANCE.c.image, MEMBERSHIP.c.dataset == dataset)


def _members(dataset: int) -> Select[Any]:
    images = func.count(MEMBERSHIP.c.id)
    label = case((MEMBERSHIP.c.id.is_not(None), func.coalesce(MEMBERSHIP.c.category, "")))
    return (
        select(
            APPEARANCE.c.cluster,
            images.label("images"),
            func.count(label.distinct()).label("categories"),
        )
        .select_from(APPEARANCE.outerjoin(MEMBERSHIP, _is_of(dataset)))
        .group_by(APPEARANCE.c.cluster)
        .having(images > 1)
    )


def _counted(dataset: int, names: Sequence[str], *, mixed: bool) -> Select[Any]:
    query = _members(dataset).where(APPEARANCE.c.cluster.in_(names))
    if mixed:
        query = query.having(func.count(MEMBERSHIP.c.category.distinct()) > 1)
    return query.order_by(APPEARANCE.c.cluster)


def _examples(connection: Connection, dataset: int, names: Sequence[str]) -> dict[str, list[str]]:
    place = func.row_number().over(partition_by=APPEARANCE.c.cluster, order_by=MEMBERSHIP.c.id)
    numbered = (
        select(APPEARANCE.c.cluster, MEMBERSHIP.c.image, place.label("place"))
        .join_from(APPEARANCE, MEMBERSHIP, MEMBERSHIP.c.image == APPEARANCE.c.image)
        .where(MEMBERSHIP.c.dataset == dataset, APPEARANCE.c.cluster.in_(names))
        .subquery()
    )
    query = select(numbered).where(numbered.c.place <= _EXAMPLES)
    examples: dict[str, list[str]] = {name: [] for name in names}
    for row in connection.execute(query.order_by(numbered.c.cluster, numbered.c.place)):
        examples[row.cluster].append(row.image)
    return examples
