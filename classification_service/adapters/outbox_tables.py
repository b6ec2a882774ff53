"""Corrections in tables: written down before they are answered, sent afterwards."""

from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Engine, Row, select

from classification_service.adapters.history_schema import CORRECTION, HISTORY_LOCK, RECORDED
from classification_service.history_ports import Outcome, Outgoing
from commons.adapters.database import one_at_a_time, reading
from commons.errors import NotFoundError
from commons.history_messages import Correction

_EARLIER = CORRECTION.alias("earlier")


class SqlCorrectionTables:
    """`classification_service.history_ports.CorrectionTables` beside the history."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(
        self, classification: str, category: str, who: str | None, at: float
    ) -> tuple[Correction, bool]:
        """Write a correction down durably, to be sent at once."""
        with one_at_a_time(self._database, HISTORY_LOCK) as connection:
            query = select(RECORDED).where(RECORDED.c.id == classification)
            found = connection.execute(query).first()
            if found is None:
                raise NotFoundError(f"there is no classification {classification}")
            latest = connection.execute(
                select(CORRECTION).where(CORRECTION.c.number == found.correction)
            ).first()
            # What was refused may be taken another time.
            if latest is not None and (latest.category == category and latest.state != "refused"):
                return _correction(latest), False
            row = {
                "classification": classification,
                "image": found.image,
                "dataset": found.dataset,
                "category": category,
                "who": who,
                "at": at,
                "state": "waiting",
                "attempts": 0,
                "due": at,
            }
            number = connection.execute(
                CORRECTION.insert().values(row).returning(CORRECTION.c.number)
            ).scalar_one()
            connection.execute(
                RECORDED.update().where(RECORDED.c.id == classification).values(correction=number)
            )
        return Correction(category=category, who=who, at=at, state="waiting"), True

    def take(self, now: float, lease_s: float) -> Outgoing | None:
        """Take the oldest correction that is due, for `lease_s` seconds."""
        query = select(CORRECTION).where(_is_due(now)).order_by(CORRECTION.c.number).limit(1)
        with reading(self._database) as connection:
            if connection.execute(query).first() is None:
                return None
        with one_at_a_time(self._database, HISTORY_LOCK) as connection:
            row = connection.execute(query).first()
            if row is None:  # another sender was faster
                return None
            connection.execute(
                CORRECTION.update()
                .where(CORRECTION.c.number == row.number)
                .values(attempts=row.attempts + 1, due=now + lease_s)
            )
        return Outgoing(
            number=row.number,
            image=row.image,
            dataset=row.dataset,
            category=row.category,
            who=row.who,
            at=row.at,
            attempt=row.attempts + 1,
        )

    def settle(self, number: int, outcome: Outcome, reason: str | None = None) -> None:
        """Write down what became of a correction."""
        self._change(number, state=outcome, reason=reason)

    def postpone(self, number: int, due: float, reason: str) -> None:
        """Have a correction sent again from `due` on."""
        self._change(number, due=due, reason=reason)

    def waiting(self) -> int:
        """Return how many corrections are still to be sent."""
        query = select(sqlalchemy.func.count()).where(CORRECTION.c.state == "waiting")
        with reading(self._database) as connection:
            return int(connection.execute(query).scalar_one())

    def _change(self, number: int, **values: Any) -> None:
        with one_at_a_time(self._database, HISTORY_LOCK) as connection:
            connection.execute(
                CORRECTION.update().where(CORRECTION.c.number == number).values(values)
            )


def _is_due(now: float) -> ColumnElement[bool]:
    """Return the condition that a correction may be sent, and none of its image before it."""
    blocked = sqlalchemy.exists().where(
        _EARLIER.c.image == CORRECTION.c.image,
        _EARLIER.c.state == "waiting",
        _EARLIER.c.dataset == CORRECTION.c.dataset,
        _EARLIER.c.number < CORRECTION.c.number,
    )
    return sqlalchemy.and_(CORRECTION.c.state == "waiting", CORRECTION.c.due <= now, ~blocked)


def _correction(row: Row[Any]) -> Correction:
    return Correction(
        category=row.category, who=row.who, at=row.at, state=row.state, reason=row.reason
    )
