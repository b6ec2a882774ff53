"""How what was said of a job's images is asked of the tables: by category, confidence, state."""

import json
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, or_, select

from classification_service.adapters.job_schema import ANSWER, IMAGE, NETWORK, PART
from classification_service.job_ports import AnswerFilter, FoundAnswer

_REASON = func.coalesce(ANSWER.c.reason, NETWORK.c.reason, PART.c.reason)


def answers_of(job: Row[Any], which: AnswerFilter) -> Select[Any]:
    """Return the query of some answers of a job (its row), images in the order they came."""
    state = _state(job)
    tables = (
        IMAGE.join(NETWORK, NETWORK.c.job == IMAGE.c.job)
        .join(PART, PART.c.sequence == IMAGE.c.part)
        .outerjoin(
            ANSWER, and_(ANSWER.c.image == IMAGE.c.image, ANSWER.c.network == NETWORK.c.network)
        )
    )
    query = (
        select(
            IMAGE.c.sequence,
            IMAGE.c.image,
            IMAGE.c.file,
            NETWORK.c.position,
            NETWORK.c.network,
            ANSWER.c.answers,
            ANSWER.c.kind,
            state.label("state"),
            case((state == "failed", _REASON), else_=None).label("reason"),
        )
        .select_from(tables)
        .where(IMAGE.c.job == job.sequence)
        .order_by(IMAGE.c.sequence, NETWORK.c.position)
    )
    if which.network is not None:
        query = query.where(NETWORK.c.network == which.network)
    if which.state is not None:
        query = query.where(state == which.state)
    if which.categories is not None:
        query = query.where(or_(False, *(_says(*one) for one in which.categories)))
    if which.least is not None:
        query = query.where(ANSWER.c.confidence >= which.least)
    if which.most is not None:
        query = query.where(ANSWER.c.confidence <= which.most)
    return query


def _says(network: str, category: int) -> ColumnElement[bool]:
    return and_(NETWORK.c.network == network, ANSWER.c.category == category)


def _state(job: Row[Any]) -> ColumnElement[str]:
    """Return how the state of one answer is told; what is said once is said for good."""
    is_worked_on = and_(PART.c.started.is_not(None), PART.c.finished.is_(None))
    return case(
        (ANSWER.c.answers.is_not(None), "done"),
        (_REASON.is_not(None), "failed"),
        (is_worked_on, "running" if job.cancelled is None else "cancelled"),
        else_="queued" if job.cancelled is None else "cancelled",
    )


def found_answer(row: Row[Any]) -> FoundAnswer:
    """Return the answer in a row of that query."""
    return FoundAnswer(
        place=(row.sequence, row.position),
        image=row.image,
        file=row.file,
        network=row.network,
        state=row.state,
        answers=[(index, value) for index, value in json.loads(row.answers or "[]")],
        kind=row.kind,
        reason=row.reason,
    )
