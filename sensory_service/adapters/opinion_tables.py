"""What networks say about images, in tables.

An opinion belongs to a membership and knows whether the image is labeled and agrees with it, so
that every question about both is a range of one index. Whoever changes a label says so here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, and_, case, func, select

from commons.adapters.database import reading, writing
from commons.label_messages import GivenOpinion
from commons.messages import Answer, Category, Opinion
from sensory_service.adapters.dataset_tables import categories_by, find_dataset
from sensory_service.adapters.tables import DATASET, MEMBERSHIP, OPINION
from sensory_service.ports import Opinions

UNLABELED, AGREES, DISAGREES = 0, 1, 2
_AT_ONCE = 1000  # values of one IN list


class OpinionTables:
    """`sensory_service.ports.OpinionCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def keep(self, opinions: Opinions) -> int:
        """Keep opinions in place of those that were there, and say how many."""
        with writing(self._database) as connection:
            dataset = find_dataset(connection, opinions.dataset).id
            members = _members(connection, dataset, [one.image for one in opinions.opinions])
            now = categories_by("id", connection, dataset, None)
            rows = {}
            for one in opinions.opinions:
                top = [(now[g.category].id, g.probability) for g in one.top if g.category in now]
                if one.image in members and one.top[0].category in now:
                    number, label = members[one.image]
                    rows[number] = _row(dataset, one, top, label) | {
                        "membership": number,
                        "network": opinions.network,
                        "at": opinions.at,
                    }
            if rows:
                connection.execute(OPINION.delete().where(OPINION.c.membership.in_(list(rows))))
                connection.execute(OPINION.insert(), list(rows.values()))
        return len(rows)

    def wanted(self, dataset: str, network: str, limit: int) -> list[str]:
        """Return images without an opinion of a network, the unlabeled first, the newest first."""
        with reading(self._database) as connection:
            number = find_dataset(connection, dataset).id
            if _has_said_all(connection, number, network):
                return []
            said = select(OPINION.c.membership).where(
                OPINION.c.membership == MEMBERSHIP.c.id, OPINION.c.network == network
            )
            missing = select(MEMBERSHIP.c.image).where(
                MEMBERSHIP.c.dataset == number, ~said.exists()
            )
            missing = missing.order_by(MEMBERSHIP.c.id.desc())
            images: list[str] = []
            for labeled in (MEMBERSHIP.c.category.is_(None), MEMBERSHIP.c.category.is_not(None)):
                page = missing.where(labeled).limit(limit - len(images))
                images += connection.execute(page).scalars()
        return images


def label_changed(connection: Connection, dataset: int, images: Mapping[str, str | None]) -> None:
    """Have the opinions know of the labels (ids) that images have from now on."""
    by_label: dict[str | None, list[str]] = {}
    for image, label in images.items():
        by_label.setdefault(label, []).append(image)
    for label, some in by_label.items():
        for start in range(0, len(some), _AT_ONCE):
            of_these = select(MEMBERSHIP.c.id).where(
                MEMBERSHIP.c.dataset == dataset,
                MEMBERSHIP.c.image.in_(some[start : start + _AT_ONCE]),
            )
            connection.execute(
                OPINION.update()
                .where(OPINION.c.membership.in_(of_these))
                .values(state=_state_with(label))
            )


def category_merged(connection: Connection, dataset: int, source: str, target: str) -> None:
    """Have the opinions know that a category is now another, whose images it has already."""
    of_source = (OPINION.c.dataset == dataset, OPINION.c.category == source)
    connection.execute(OPINION.update().where(*of_source).values(category=target))
    of_target = select(MEMBERSHIP.c.id).where(
        MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.category == target
    )
    connection.execute(
        OPINION.update()
        .where(OPINION.c.membership.in_(of_target))
        .values(state=_state_with(target))
    )


def forget_opinion(connection: Connection, dataset: int, image: str) -> None:
    """Take away what was said about an image that is about to leave its dataset."""
    of_this = select(MEMBERSHIP.c.id).where(
        MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image == image
    )
    connection.execute(OPINION.delete().where(OPINION.c.membership.in_(of_this)))


def is_disagreement() -> sqlalchemy.ColumnElement[bool]:
    """Return what holds where label and opinion differ; the code of 0006 changes only labels."""
    return and_(OPINION.c.state == DISAGREES, MEMBERSHIP.c.category != OPINION.c.category)


def opinion_of(row: Any, names: Mapping[str, Category]) -> Opinion | None:
    """Return the opinion that a row with the columns of `OPINION` has, if it has one."""
    if row.network is None:
        return None
    return Opinion(
        network=row.network,
        top=[Answer(category=names[id_], probability=p) for id_, p in row.top if id_ in names],
        margin=row.margin,
        at=row.at,
    )


def _state_with(label: str | None) -> Any:
    if label is None:
        return UNLABELED
    return case((OPINION.c.category == label, AGREES), else_=DISAGREES)


def _row(
    dataset: int, one: GivenOpinion, top: Sequence[tuple[str, float]], label: str | None
) -> dict[str, object]:
    said, confidence = top[0]
    state = UNLABELED if label is None else AGREES if label == said else DISAGREES
    return {
        "dataset": dataset,
        "category": said,
        "confidence": confidence,
        "margin": one.margin,
        "top": [list(guess) for guess in top],
        "state": state,
    }


def _members(
    connection: Connection, dataset: int, images: Iterable[str]
) -> dict[str, tuple[int, str | None]]:
    query = select(MEMBERSHIP.c.image, MEMBERSHIP.c.id, MEMBERSHIP.c.category).where(
        MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image.in_(list(images))
    )
    return {row.image: (row.id, row.category) for row in connection.execute(query)}


def _has_said_all(connection: Connection, dataset: int, network: str) -> bool:
    """Say whether there is nothing to look for: one range of an index instead of all images."""
    said = select(func.count()).where(OPINION.c.dataset == dataset, OPINION.c.network == network)
    images = select(DATASET.c.images).where(DATASET.c.id == dataset)
    counts = [int(connection.execute(query).scalar_one()) for query in (said, images)]
    return counts[0] >= counts[1]
