"""Jobs in tables, as workers see them: what is to be done, what was said, what is over."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Row, and_, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite

from classification_service.adapters.job_schema import (
    ANSWER,
    COMING_AND_GOING,
    IMAGE,
    JOB,
    NETWORK,
    PART,
)
from classification_service.adapters.job_tables import chunks, count_said, finish_if_done
from classification_service.job_ports import Claim, PartImage, PartWork, Said
from commons.adapters.database import one_at_a_time, reading, writing

_AT_ONCE = 100
_PAIR = ("image", "network")
_SAID = ("category", "confidence", "answers", "kind", "reason", "said")


class SqlJobWork:
    """`classification_service.job_ports.JobWork` in a database from `create_database`."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def begin(self, part: int, when: float) -> PartWork | None:
        """Return a part to be worked on; nothing if there is nothing to be done for it."""
        with writing(self._database) as connection:
            row = _unfinished(connection, part)
            if row is None:
                return None
            connection.execute(
                PART.update()
                .where(PART.c.sequence == part)
                .values(started=func.coalesce(PART.c.started, when), sent=when)
            )
            images = connection.execute(
                select(IMAGE).where(IMAGE.c.part == part).order_by(IMAGE.c.sequence)
            )
            networks = connection.execute(
                select(NETWORK.c.network)
                .where(NETWORK.c.job == row.job, NETWORK.c.reason.is_(None))
                .order_by(NETWORK.c.position)
            )
            return PartWork(
                number=part,
                job=row.id,
                blob=row.blob,
                images=[PartImage(one.image, one.file, one.start, one.size) for one in images],
                networks=list(networks.scalars()),
            )

    def give_up(self, part: int, network: str | None, reason: str) -> None:
        """Write down why a network cannot answer this job, or nobody can answer this part."""
        with writing(self._database) as connection:
            row = _unfinished(connection, part)
            if row is None:
                return
            if network is None:
                change = PART.update().where(PART.c.sequence == part)
            else:
                change = NETWORK.update().where(
                    NETWORK.c.job == row.job, NETWORK.c.network == network
                )
            connection.execute(change.values(reason=reason))

    def finish(self, part: int, when: float) -> None:
        """Count what was said of a part, and finish the job if it was the last."""
        with writing(self._database) as connection:
            row = _unfinished(connection, part)
            if row is not None:
                done = count_said(connection, part)["done"]
                of_job = select(func.count()).where(NETWORK.c.job == row.job)
                failed = row.images * connection.execute(of_job).scalar_one() - done
                _note(connection, part, {"done": done, "failed": failed, "finished": when})
                finish_if_done(connection, row.job, when)

    def lost(self, before: float, now: float, limit: int) -> list[int]:
        """Return parts whose task was sent before a time and is not done, and note it is sent."""
        query = (
            select(PART.c.sequence)
            .join_from(PART, JOB, JOB.c.sequence == PART.c.job)
            .where(PART.c.finished.is_(None), PART.c.sent < before)
            .where(JOB.c.cancelled.is_(None), JOB.c.removed.is_(None))
            .order_by(PART.c.sent)
            .limit(limit)
        )
        with reading(self._database) as connection:
            if connection.execute(query.limit(1)).first() is None:
                return []
        with writing(self._database) as connection:
            parts = list(connection.execute(query.with_for_update(of=PART)).scalars())
            for some in chunks(parts):
                connection.execute(PART.update().where(PART.c.sequence.in_(some)).values(sent=now))
            return parts


class SqlAnswerBook:
    """`classification_service.job_ports.AnswerBook` in a database from `create_database`."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def claim(self, images: Sequence[str], network: str, now: float, until: float) -> Claim:
        """Claim what nobody knows yet of some images, up to a time: then it is free again."""
        query = select(ANSWER.c.image).where(
            ANSWER.c.image.in_(images), ANSWER.c.network == network, ANSWER.c.said.is_not(None)
        )
        with reading(self._database) as connection:
            said = set(connection.execute(query).scalars())
        # In one order for all, or two that claim the same would wait for each other.
        unsaid = sorted(image for image in images if image not in said)
        if not unsaid:
            return Claim([], 0)
        with writing(self._database) as connection:
            insert = _insert(connection)(ANSWER)
            rows = [{"image": image, "network": network, "claimed": until} for image in unsaid]
            is_free = and_(ANSWER.c.said.is_(None), ANSWER.c.claimed <= now)
            taken = insert.on_conflict_do_update(
                index_elements=_PAIR, set_={"claimed": insert.excluded.claimed}, where=is_free
            ).returning(ANSWER.c.image)
            mine = set(connection.execute(taken, rows).scalars())
            said = set(connection.execute(query).scalars())
        return Claim(
            [image for image in unsaid if image in mine],
            sum(image not in mine and image not in said for image in unsaid),
        )

    def release(self, images: Sequence[str], network: str) -> None:
        """Give images back of which nothing was recorded."""
        with writing(self._database) as connection:
            _release(connection, images, network)

    def record(self, part: int, said: Sequence[Said], when: float) -> bool:
        """Keep what was said durably, unless the part is not to be worked on any more: say so."""
        with writing(self._database) as connection:
            row = _unfinished(connection, part)
            if row is None:
                return False
            images = connection.execute(select(IMAGE.c.image).where(IMAGE.c.part == part))
            there = set(images.scalars())
            rows = [_answer_row(one, when) for one in said if one.image in there]
            rows.sort(key=lambda row: str(row["image"]))
            if rows:
                insert = _insert(connection)(ANSWER)
                new = {name: insert.excluded[name] for name in _SAID}
                keep = insert.on_conflict_do_update(
                    index_elements=_PAIR, set_=new, where=ANSWER.c.said.is_(None)
                )
                connection.execute(keep, rows)
            for one in said:
                if one.image not in there:  # claimed by a worker that did not know it yet
                    _release(connection, [one.image], one.network)
            _note(connection, part, {**count_said(connection, part), "sent": when})
            return True


class SqlJobCleaning:
    """`classification_service.job_ports.JobCleaning` in a database from `create_database`."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def close_idle(self, before: float, now: float) -> int:
        """Close open jobs that got no image since a time, and return how many."""
        idle = and_(JOB.c.closed.is_(None), JOB.c.removed.is_(None), JOB.c.changed < before)
        with writing(self._database) as connection:
            query = select(JOB.c.sequence).where(idle).limit(_AT_ONCE).with_for_update()
            numbers = list(connection.execute(query).scalars())
            for number in numbers:
                connection.execute(JOB.update().where(JOB.c.sequence == number).values(closed=now))
                finish_if_done(connection, number, now)
            return len(numbers)

    def remove_old(self, before: float, now: float) -> int:
        """Remove jobs that were finished before a time, and return how many."""
        old = and_(JOB.c.removed.is_(None), JOB.c.finished < before)
        with writing(self._database) as connection:
            return connection.execute(JOB.update().where(old).values(removed=now)).rowcount

    def removed_parts(self, limit: int) -> list[tuple[int, str]]:
        """Return parts of removed jobs, with their blobs."""
        query = (
            select(PART.c.sequence, PART.c.blob)
            .join_from(PART, JOB, JOB.c.sequence == PART.c.job)
            .where(JOB.c.removed.is_not(None))
            .limit(limit)
        )
        with reading(self._database) as connection:
            return [(row.sequence, row.blob) for row in connection.execute(query)]

    def forget_part(self, part: int) -> None:
        """Forget a part, its images, and what was said of those that no other job has."""
        with one_at_a_time(self._database, COMING_AND_GOING) as connection:
            # Whoever is about to record answers of it comes before or finds it gone.
            locked = select(PART).where(PART.c.sequence == part).with_for_update()
            connection.execute(locked).first()
            images = select(IMAGE.c.image).where(IMAGE.c.part == part)
            others = IMAGE.alias()
            elsewhere = exists().where(others.c.image == ANSWER.c.image, others.c.part != part)
            connection.execute(ANSWER.delete().where(ANSWER.c.image.in_(images), ~elsewhere))
            connection.execute(IMAGE.delete().where(IMAGE.c.part == part))
            connection.execute(PART.delete().where(PART.c.sequence == part))

    def forget_jobs(self) -> list[str]:
        """Forget removed jobs that have no parts left, and return them."""
        empty = ~exists().where(PART.c.job == JOB.c.sequence)
        query = select(JOB.c.sequence, JOB.c.id).where(JOB.c.removed.is_not(None), empty)
        with one_at_a_time(self._database, COMING_AND_GOING) as connection:
            rows = connection.execute(query.limit(_AT_ONCE)).all()
            numbers = [row.sequence for row in rows]
            connection.execute(NETWORK.delete().where(NETWORK.c.job.in_(numbers)))
            connection.execute(JOB.delete().where(JOB.c.sequence.in_(numbers)))
            return [row.id for row in rows]

    def unknown(self, blobs: Sequence[str]) -> list[str]:
        """Return those of some blobs that no part has."""
        known: set[str] = set()
        with reading(self._database) as connection:
            for some in chunks(blobs):
                query = select(PART.c.blob).where(PART.c.blob.in_(some))
                known.update(connection.execute(query).scalars())
        return [blob for blob in blobs if blob not in known]


def _unfinished(connection: Connection, part: int) -> Row[Any] | None:
    """Return a part that is still to be worked on, its job's row locked: the last one counts."""
    query = (
        select(PART, JOB.c.id)
        .join_from(PART, JOB, JOB.c.sequence == PART.c.job)
        .where(PART.c.sequence == part, PART.c.finished.is_(None))
        .where(JOB.c.cancelled.is_(None), JOB.c.removed.is_(None))
        .with_for_update()
    )
    return connection.execute(query).first()


def _release(connection: Connection, images: Sequence[str], network: str) -> None:
    connection.execute(
        ANSWER.delete().where(
            ANSWER.c.image.in_(images), ANSWER.c.network == network, ANSWER.c.said.is_(None)
        )
    )


def _note(connection: Connection, part: int, values: Mapping[str, float]) -> None:
    connection.execute(PART.update().where(PART.c.sequence == part).values(values))


def _answer_row(said: Said, when: float) -> dict[str, Any]:
    best = said.answers[0] if said.answers else (None, None)
    answers = [[index, round(value, 6)] for index, value in said.answers]
    return {
        "image": said.image,
        "network": said.network,
        "category": best[0],
        "confidence": best[1],
        "answers": json.dumps(answers, separators=(",", ":")) if answers else None,
        "kind": said.kind,
        "reason": said.reason,
        "said": when,
        "claimed": when,
    }


def _insert(connection: Connection) -> Any:
    """Return what makes an insert that can say what to do where a row is there."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
