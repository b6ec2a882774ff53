"""The tables of jobs, for whoever takes an image out of them."""

from collections.abc import Sequence

import sqlalchemy
from sqlalchemy import Connection, bindparam, func, select

from classification_service.adapters.job_schema import (
    ANSWER,
    COMING_AND_GOING,
    IMAGE,
    JOB,
    NETWORK,
    PART,
)
from classification_service.adapters.job_tables import count_said, finish_if_done
from classification_service.job_ports import KeepImages, PartImage
from commons.adapters.database import one_at_a_time, reading


class SqlJobErasure:
    """`classification_service.job_ports.JobErasure` in a database from `create_database`."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def holders(self, image: str) -> list[int]:
        """Return the parts that have an image, those of removed jobs too."""
        query = select(IMAGE.c.part).where(IMAGE.c.image == image).order_by(IMAGE.c.part)
        with reading(self._database) as connection:
            return list(connection.execute(query).scalars())

    def take_out(self, image: str, part: int, when: float, keep: KeepImages) -> str | None:
        """Take an image out of a part, and return the blob that the part no longer has."""
        with one_at_a_time(self._database, COMING_AND_GOING) as connection:
            # Whoever is about to record answers of it comes before or finds it gone.
            query = select(PART, JOB.c.id).join_from(PART, JOB, JOB.c.sequence == PART.c.job)
            row = connection.execute(query.where(PART.c.sequence == part).with_for_update()).first()
            if row is None:
                return None
            gone = IMAGE.delete().where(IMAGE.c.part == part, IMAGE.c.image == image)
            if connection.execute(gone).rowcount == 0:
                return None
            connection.execute(ANSWER.delete().where(ANSWER.c.image == image))
            rest = _images(connection, part)
            if rest:
                kept = keep(row.id, row.blob, rest)
                _move(connection, part, kept.images)
                said = count_said(connection, part)
                if row.finished is not None:
                    of_job = select(func.count()).where(NETWORK.c.job == row.job)
                    asked = len(rest) * connection.execute(of_job).scalar_one()
                    said["failed"] = asked - said["done"]
                values = {"blob": kept.blob, "images": len(rest), **said}
                connection.execute(PART.update().where(PART.c.sequence == part).values(values))
            else:
                connection.execute(PART.delete().where(PART.c.sequence == part))
                finish_if_done(connection, row.job, when)
            return str(row.blob)


def _images(connection: Connection, part: int) -> list[PartImage]:
    query = select(IMAGE).where(IMAGE.c.part == part).order_by(IMAGE.c.sequence)
    return [
        PartImage(one.image, one.file, one.start, one.size) for one in connection.execute(query)
    ]


def _move(connection: Connection, part: int, images: Sequence[PartImage]) -> None:
    """Write down where the images of a part lie now."""
    here = IMAGE.c.part == part, IMAGE.c.image == bindparam("moved")
    places = [{"moved": one.image, "to": one.start} for one in images]
    connection.execute(IMAGE.update().where(*here).values(start=bindparam("to")), places)
