"""Figures of jobs for Prometheus, read from the tables: the same whichever process is asked."""

from typing import get_args

from sqlalchemy import Engine, case, exists, func, select

from classification_service.adapters.job_schema import JOB, PART
from commons.adapters.database import reading
from commons.job_messages import JobState


def jobs_by_state(database: Engine) -> dict[str, float]:
    """Return the number of jobs in each state."""
    is_begun = exists().where(PART.c.job == JOB.c.sequence, PART.c.started.is_not(None))
    state = case(
        (JOB.c.cancelled.is_not(None), "cancelled"),
        (JOB.c.reason.is_not(None), "failed"),
        (JOB.c.finished.is_not(None), "done"),
        (is_begun, "running"),
        else_="queued",
    ).label("state")
    query = select(state, func.count()).where(JOB.c.removed.is_(None)).group_by(state)
    counts: dict[str, float] = dict.fromkeys(get_args(JobState), 0.0)
    with reading(database) as connection:
        counts.update({row[0]: float(row[1]) for row in connection.execute(query)})
    return counts


def waiting_parts(database: Engine) -> dict[str, float]:
    """Return how many parts of jobs are still to be worked on: what the queue is there for."""
    query = (
        select(func.count())
        .select_from(PART.join(JOB, JOB.c.sequence == PART.c.job))
        .where(PART.c.finished.is_(None), JOB.c.cancelled.is_(None), JOB.c.removed.is_(None))
    )
    with reading(database) as connection:
        return {"jobs": float(connection.execute(query).scalar_one())}


def waiting_images(database: Engine) -> float:
    """Return how many images are in parts of jobs that are still to be worked on."""
    query = (
        select(func.coalesce(func.sum(PART.c.images - PART.c.done - PART.c.failed), 0))
        .select_from(PART.join(JOB, JOB.c.sequence == PART.c.job))
        .where(PART.c.finished.is_(None), JOB.c.cancelled.is_(None), JOB.c.removed.is_(None))
    )
    with reading(database) as connection:
        return float(connection.execute(query).scalar_one())
