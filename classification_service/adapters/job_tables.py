"""Jobs and their images in tables, as those who made them see them."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select

from classification_service.adapters.job_answers import answers_of, found_answer
from classification_service.adapters.job_schema import (
    ANSWER,
    COMING_AND_GOING,
    IMAGE,
    JOB,
    NETWORK,
    PART,
)
from classification_service.job_ports import (
    AnswerFilter,
    FoundAnswer,
    KnownMeanwhileError,
    NewJob,
    NewPart,
    Viewer,
)
from commons.adapters.database import one_at_a_time, reading, writing
from commons.errors import ConflictError, NotFoundError, TooLargeError
from commons.job_messages import ClassificationJob, JobNetwork, JobState

_SOME = 500
Item = TypeVar("Item")


class SqlJobCatalog:
    """`classification_service.job_ports.JobCatalog` in a database from `create_database`."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def add(self, job: NewJob) -> None:
        """Make a job durably."""
        row = {"id": job.id, "who": job.who, "created": job.created, "changed": job.created}
        with writing(self._database) as connection:
            (sequence,) = connection.execute(
                JOB.insert().values(row).returning(JOB.c.sequence)
            ).one()
            networks = [
                {"job": sequence, "position": position, "network": network, "dataset": dataset}
                for position, (network, dataset) in enumerate(job.networks)
            ]
            connection.execute(NETWORK.insert(), networks)

    def get(self, job: str, viewer: Viewer) -> ClassificationJob:
        """Return a job."""
        query = select(JOB).where(JOB.c.id == job, *_seen_by(viewer))
        with reading(self._database) as connection:
            row = connection.execute(query).first()
            if row is None:
                raise unknown_job(job)
            return _views(connection, [row])[0]

    def page(
        self, viewer: Viewer, before: int | None, limit: int
    ) -> tuple[list[ClassificationJob], int | None]:
        """Return jobs, newest first, those before a place, with the place of the next page."""
        query = select(JOB).where(*_seen_by(viewer)).order_by(JOB.c.sequence.desc())
        if before is not None:
            query = query.where(JOB.c.sequence < before)
        with reading(self._database) as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
            views = _views(connection, rows[:limit])
        return views, rows[limit - 1].sequence if len(rows) > limit else None

    def end(self, job: str, when: float, *, cancel: bool = False, remove: bool = False) -> None:
        """Take no more images; also: give up what was not done, and forget the job."""
        with writing(self._database) as connection:
            row = connection.execute(
                select(JOB).where(JOB.c.id == job, JOB.c.removed.is_(None)).with_for_update()
            ).first()
            if row is None:
                return
            values: dict[str, float] = {} if row.closed is not None else {"closed": when}
            if (cancel or remove) and row.finished is None:
                values |= {"cancelled": when, "finished": when}
            if remove:
                values["removed"] = when
            if values:
                connection.execute(
                    JOB.update().where(JOB.c.sequence == row.sequence).values(values)
                )
            finish_if_done(connection, row.sequence, when)


class SqlJobImages:
    """`classification_service.job_ports.JobImages` in a database from `create_database`."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def known(self, job: str, images: Sequence[str]) -> set[str]:
        """Return those of some images that the job has."""
        with reading(self._database) as connection:
            number = select(JOB.c.sequence).where(JOB.c.id == job).scalar_subquery()
            return _known(connection, IMAGE.c.job == number, images)

    def add(self, job: str, parts: Sequence[NewPart], when: float, most: int) -> list[int]:
        """Give an open job images durably that it has not, each once; return the parts' numbers."""
        with one_at_a_time(self._database, COMING_AND_GOING) as connection:
            number = _open_job(connection, job)
            images = [one.image for part in parts for one in part.images]
            if there := _known(connection, IMAGE.c.job == number, images):
                raise KnownMeanwhileError(there)
            count = select(func.coalesce(func.sum(PART.c.images), 0)).where(PART.c.job == number)
            held = int(connection.execute(count).scalar_one())
            if held + len(images) > most:
                raise TooLargeError(
                    f"expected a job of at most {most:,} images, got more than that: make another"
                )
            connection.execute(JOB.update().where(JOB.c.sequence == number).values(changed=when))
            return [_add_part(connection, number, part, when) for part in parts]

    def answers(
        self, which: AnswerFilter, after: tuple[int, int] | None, limit: int
    ) -> list[FoundAnswer]:
        """Return what was said of a job's images, in the order they came, after a place."""
        with reading(self._database) as connection:
            job = connection.execute(select(JOB).where(JOB.c.id == which.job)).first()
            if job is None:
                raise unknown_job(which.job)
            query = answers_of(job, which).limit(limit)
            if after is not None:
                image, position = after
                query = query.where(
                    IMAGE.c.sequence >= image,
                    or_(IMAGE.c.sequence > image, NETWORK.c.position > position),
                )
            return [found_answer(row) for row in connection.execute(query)]


def finish_if_done(connection: Connection, job: int, when: float) -> None:
    """Finish a closed job whose parts are all finished; its row must be locked."""
    row = connection.execute(select(JOB).where(JOB.c.sequence == job)).one()
    if row.closed is None or row.finished is not None:
        return
    count = select(
        func.coalesce(func.sum(case((PART.c.finished.is_(None), 1), else_=0)), 0).label("left"),
        func.coalesce(func.sum(PART.c.done), 0).label("done"),
        func.coalesce(func.sum(PART.c.failed), 0).label("failed"),
    ).where(PART.c.job == job)
    counts = connection.execute(count).one()
    if counts.left:
        return
    values: dict[str, Any] = {"finished": when}
    if counts.failed and not counts.done:
        values["reason"] = _why(connection, job)
    connection.execute(JOB.update().where(JOB.c.sequence == job).values(values))


def count_said(connection: Connection, part: int) -> dict[str, int]:
    """Return how much of a part is `done` and `failed`, by what networks said of its images."""
    answers = (
        select(func.count(ANSWER.c.answers).label("done"), func.count(ANSWER.c.kind).label("bad"))
        .select_from(IMAGE)
        .join(NETWORK, NETWORK.c.job == IMAGE.c.job)
        .join(ANSWER, and_(ANSWER.c.image == IMAGE.c.image, ANSWER.c.network == NETWORK.c.network))
        .where(IMAGE.c.part == part)
    )
    counts = connection.execute(answers).one()
    return {"done": counts.done, "failed": counts.bad}


def unknown_job(job: str) -> NotFoundError:
    """Return the error that says so, ready to raise."""
    return NotFoundError(f"there is no job {job}", kind="unknown-job")


def chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield items in lists that a statement takes."""
    for start in range(0, len(items), _SOME):
        yield items[start : start + _SOME]


def _why(connection: Connection, job: int) -> str:
    """Return the first reason for which something of a job failed."""
    of_job = IMAGE.join(NETWORK, IMAGE.c.job == NETWORK.c.job).join(
        ANSWER, and_(ANSWER.c.image == IMAGE.c.image, ANSWER.c.network == NETWORK.c.network)
    )
    for query in (
        select(NETWORK.c.reason).where(NETWORK.c.job == job, NETWORK.c.reason.is_not(None)),
        select(PART.c.reason).where(PART.c.job == job, PART.c.reason.is_not(None)),
        select(ANSWER.c.reason)
        .select_from(of_job)
        .where(IMAGE.c.job == job, ANSWER.c.reason.is_not(None)),
    ):
        reason = connection.execute(query.limit(1)).scalar()
        if reason is not None:
            return str(reason)
    return "nothing was said"


def _seen_by(viewer: Viewer) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [JOB.c.removed.is_(None)]
    if not viewer.sees_all:
        conditions.append(JOB.c.who == viewer.name)
    return conditions


def _views(connection: Connection, rows: Sequence[Row[Any]]) -> list[ClassificationJob]:
    numbers = [row.sequence for row in rows]
    networks: dict[int, list[JobNetwork]] = {number: [] for number in numbers}
    query = select(NETWORK).where(NETWORK.c.job.in_(numbers)).order_by(NETWORK.c.position)
    for one in connection.execute(query):
        networks[one.job].append(
            JobNetwork(network=one.network, dataset=one.dataset, reason=one.reason)
        )
    count = (
        select(
            PART.c.job,
            func.sum(PART.c.images).label("images"),
            func.sum(PART.c.done).label("done"),
            func.sum(PART.c.failed).label("failed"),
            func.count(PART.c.started).label("started"),
        )
        .where(PART.c.job.in_(numbers))
        .group_by(PART.c.job)
    )
    counts = {row.job: row for row in connection.execute(count)}
    return [_view(row, networks[row.sequence], counts.get(row.sequence)) for row in rows]


def _view(row: Row[Any], networks: list[JobNetwork], counts: Row[Any] | None) -> ClassificationJob:
    return ClassificationJob(
        id=row.id,
        state=_state(row, counts is not None and counts.started > 0),
        reason=row.reason,
        open=row.closed is None,
        who=row.who,
        created=row.created,
        finished=row.finished,
        networks=networks,
        images=counts.images if counts else 0,
        done=counts.done if counts else 0,
        failed=counts.failed if counts else 0,
    )


def _state(row: Row[Any], is_begun: bool) -> JobState:
    if row.cancelled is not None:
        return "cancelled"
    if row.finished is not None:
        return "done" if row.reason is None else "failed"
    return "running" if is_begun else "queued"


def _known(connection: Connection, of_job: ColumnElement[bool], images: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in chunks(images):
        query = select(IMAGE.c.image).where(of_job, IMAGE.c.image.in_(some))
        found.update(connection.execute(query).scalars())
    return found


def _open_job(connection: Connection, job: str) -> int:
    query = select(JOB).where(JOB.c.id == job, JOB.c.removed.is_(None)).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise unknown_job(job)
    if row.closed is not None:
        raise ConflictError(f"job {job} takes no more images: make another", kind="job-closed")
    return int(row.sequence)


def _add_part(connection: Connection, job: int, part: NewPart, when: float) -> int:
    count = len(part.images)
    row = {"job": job, "blob": part.blob, "images": count, "sent": when, "done": 0, "failed": 0}
    number = connection.execute(PART.insert().values(row).returning(PART.c.sequence)).scalar_one()
    images = [{"job": job, "part": number, **dataclasses.asdict(one)} for one in part.images]
    connection.execute(IMAGE.insert(), images)
    # Other jobs may have been told already.
    known = count_said(connection, number)
    connection.execute(PART.update().where(PART.c.sequence == number).values(known))
    return int(number)
