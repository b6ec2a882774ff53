"""Recorded classifications through SQLAlchemy Core: the same on SQLite and PostgreSQL."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    select,
    tuple_,
)

from classification_service.adapters.history_schema import CORRECTION, HISTORY_LOCK, RECORDED
from classification_service.history_ports import DropImages, HistoryFilter, Record
from commons.adapters.database import one_at_a_time, reading
from commons.errors import InvalidInputError, NotFoundError
from commons.history_messages import (
    Correction,
    HistoryOrder,
    HistoryPage,
    RecordedClassification,
)
from commons.messages import Answer, Category

_SHOWN = (
    *RECORDED.c,
    CORRECTION.c.category.label("right"),
    CORRECTION.c.who,
    CORRECTION.c.at.label("corrected_at"),
    CORRECTION.c.state,
    CORRECTION.c.reason,
)
_WITH_CORRECTION = RECORDED.outerjoin(CORRECTION, RECORDED.c.correction == CORRECTION.c.number)
_PLACES: dict[HistoryOrder, tuple[ColumnElement[Any], ...]] = {
    "newest": (RECORDED.c.sequence,),
    "uncertain": (RECORDED.c.margin, RECORDED.c.sequence),
    "entropy": (RECORDED.c.entropy, RECORDED.c.sequence),
}
_ASCENDING: tuple[HistoryOrder, ...] = ("uncertain",)
_LARGEST = 1 << 63
_LONGEST_NAME = 120


class SqlHistoryTables:
    """`HistoryTables` and `ExpiringHistory` of the ports, in a database that was migrated."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(self, records: Sequence[Record]) -> None:
        """Store classifications durably."""
        if not records:
            return
        with one_at_a_time(self._database, HISTORY_LOCK) as connection:
            connection.execute(RECORDED.insert(), [_values(record) for record in records])

    def get(self, classification: str) -> RecordedClassification:
        """Return one classification."""
        query = _query().where(RECORDED.c.id == classification)
        with reading(self._database) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFoundError(f"there is no classification {classification}")
        return _recorded(row)

    def page(
        self, which: HistoryFilter, order: HistoryOrder, cursor: str | None, limit: int
    ) -> HistoryPage:
        """Return at most `limit` classifications, and the cursor of the next page."""
        place, is_ascending = _PLACES[order], order in _ASCENDING
        query = _query().where(*_narrowed(which)).limit(limit + 1)
        query = query.order_by(*(one.asc() if is_ascending else one.desc() for one in place))
        if cursor is not None:
            here, last = tuple_(*place), tuple_(*_place_of(cursor, order))
            query = query.where(here > last if is_ascending else here < last)
        with reading(self._database) as connection:
            rows = connection.execute(query).all()
        page = rows[:limit]
        return HistoryPage(
            classifications=[_recorded(row) for row in page],
            cursor=_cursor(page[-1], order) if len(rows) > limit else None,
        )

    def remove(
        self,
        *,
        drop: DropImages,
        id: str | None = None,  # noqa: A002 - what it is called everywhere
        image: str | None = None,
    ) -> int:
        """Remove one classification, or all of an image, with their corrections."""
        chosen = RECORDED.c.id == id if image is None else RECORDED.c.image == image
        with one_at_a_time(self._database, HISTORY_LOCK) as connection:
            return _removed(connection, select(RECORDED.c.id, RECORDED.c.image).where(chosen), drop)

    def expire(self, *, before: float, most: int, limit: int, drop: DropImages) -> int:
        """Remove what is older than `before` or above `most` rows, oldest first."""
        # One index says what is old, another one what is too much; mostly neither says anything.
        places = (
            RECORDED.c.sequence <= _last_surplus(most),
            RECORDED.c.at < before,
        )
        orders = (RECORDED.c.sequence, RECORDED.c.at)
        count = 0
        for place, order in zip(places, orders, strict=True):
            due = (
                select(RECORDED.c.id, RECORDED.c.image)
                .where(place, ~_is_waiting())
                .order_by(order)
                .limit(limit - count)
            )
            with reading(self._database) as connection:
                is_due = count < limit and connection.execute(due.limit(1)).first() is not None
            if is_due:
                with one_at_a_time(self._database, HISTORY_LOCK) as connection:
                    count += _removed(connection, due, drop)
        return count

    def drop_unrecorded(self, images: Sequence[str], drop: DropImages) -> int:
        """Drop those of some images that no row has."""
        with reading(self._database) as connection:
            needed = _needed(connection, images)
        if needed.issuperset(images):
            return 0
        with one_at_a_time(self._database, HISTORY_LOCK) as connection:
            needed = _needed(connection, images)
            lost = [image for image in images if image not in needed]
            drop(lost)
        return len(lost)


def _last_surplus(most: int) -> sqlalchemy.ScalarSelect[int]:
    newest = select(RECORDED.c.sequence).order_by(RECORDED.c.sequence.desc())
    return newest.offset(most).limit(1).scalar_subquery()


def _is_waiting() -> sqlalchemy.Exists:
    return sqlalchemy.exists().where(
        CORRECTION.c.classification == RECORDED.c.id, CORRECTION.c.state == "waiting"
    )


def _removed(connection: Connection, chosen: Select[Any], drop: DropImages) -> int:
    """Remove rows (id, image), and drop the images that no other row has."""
    rows = connection.execute(chosen).all()
    if not rows:
        return 0
    ids, images = [row.id for row in rows], sorted({row.image for row in rows})
    for some in _slices(ids):
        connection.execute(CORRECTION.delete().where(CORRECTION.c.classification.in_(some)))
        connection.execute(RECORDED.delete().where(RECORDED.c.id.in_(some)))
    needed = _needed(connection, images)
    drop([image for image in images if image not in needed])
    return len(rows)


def _needed(connection: Connection, images: Sequence[str]) -> set[str]:
    """Return those of some images that a row has."""
    needed: set[str] = set()
    for some in _slices(images):
        still = select(RECORDED.c.image).where(RECORDED.c.image.in_(some)).distinct()
        needed.update(connection.execute(still).scalars())
    return needed


def _slices(values: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _query() -> Select[Any]:
    return select(*_SHOWN).select_from(_WITH_CORRECTION)


def _narrowed(which: HistoryFilter) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (RECORDED.c.dataset, which.dataset),
        (RECORDED.c.network, which.network),
        (RECORDED.c.category, which.category),
    ):
        if value is not None:
            yield column == value
    for column, least, most in (
        (RECORDED.c.confidence, which.min_confidence, which.max_confidence),
        (RECORDED.c.at, which.since, which.until),
    ):
        if least is not None:
            yield column >= least
        if most is not None:
            yield column < most
    if which.corrected is not None:
        is_open = RECORDED.c.correction.is_(None)
        yield ~is_open if which.corrected else is_open


def _cursor(row: Row[Any], order: HistoryOrder) -> str:
    if order == "newest":
        return str(row.sequence)
    return f"{row.margin if order == 'uncertain' else row.entropy!r}:{row.sequence}"


def _place_of(cursor: str, order: HistoryOrder) -> tuple[float | int, ...]:
    value, _, number = cursor.rpartition(":")
    try:
        sequence = int(number)
        place = () if order == "newest" else (float(value),)
    except ValueError as error:
        raise _no_cursor(cursor) from error
    is_known = 0 <= sequence < _LARGEST and all(map(math.isfinite, place))
    if not is_known or bool(value) != bool(place):
        raise _no_cursor(cursor)
    return (*place, sequence)


def _no_cursor(cursor: str) -> InvalidInputError:
    return InvalidInputError(
        f"expected the cursor of a page before in the same order, got {cursor[:100]!r}"
    )


def _values(record: Record) -> dict[str, Any]:
    first, confidence = record.answers[0]
    answers = [[one.id, one.name, probability] for one, probability in record.answers]
    return {
        "id": record.id,
        "image": record.image,
        "dataset": record.dataset,
        "network": record.network,
        # A card may call its categories anything; PostgreSQL takes no zero byte.
        "category": first.name.replace("\x00", "\ufffd")[:_LONGEST_NAME],
        "confidence": confidence,
        "answers": json.dumps(answers, separators=(",", ":")),
        "margin": record.margin,
        "entropy": record.entropy,
        "seconds": record.seconds,
        "at": record.at,
    }


def _recorded(row: Row[Any]) -> RecordedClassification:
    return RecordedClassification(
        id=row.id,
        image=row.image,
        dataset=row.dataset,
        network=row.network,
        answers=[
            Answer(category=Category(id=category, name=name), probability=probability)
            for category, name, probability in json.loads(row.answers)
        ],
        margin=row.margin,
        entropy=row.entropy,
        seconds=row.seconds,
        at=row.at,
        correction=Correction(
            category=row.right,
            who=row.who,
            at=row.corrected_at,
            state=row.state,
            reason=row.reason,
        )
        if row.correction is not None
        else None,
    )
