"""Examinations in a table: one a network, never changed."""

import sqlalchemy
from sqlalchemy import Column, Engine, Float, String, Table, Text
from sqlalchemy.exc import IntegrityError

from classification_service.adapters.tables import METADATA, NETWORKS
from commons.adapters.database import reading, writing
from commons.errors import NotFoundError
from commons.messages import Examination

EXAMINATIONS = Table(
    "examination",
    METADATA,
    Column("network", String(64), primary_key=True),
    Column("body", Text, nullable=False),
    Column("at", Float, nullable=False),
)


class SqlExaminationTables:
    """`classification_service.ports.ExaminationTables` in a database from `create_database`."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(self, examination: Examination) -> None:
        """Store an examination durably; the first one of a network stays."""
        values = {
            "network": examination.network,
            "body": examination.model_dump_json(),
            "at": examination.at,
        }
        try:
            with writing(self._database) as connection:
                connection.execute(EXAMINATIONS.insert().values(values))
        except IntegrityError:
            return  # another worker was as quick

    def examination(self, network: str) -> Examination:
        """Return the examination of a network by its whole id."""
        query = sqlalchemy.select(EXAMINATIONS.c.body).where(EXAMINATIONS.c.network == network)
        with reading(self._database) as connection:
            body = connection.execute(query).scalar()
        if body is None:
            raise NotFoundError(f"network {network} is not examined yet", kind="not-examined")
        return Examination.model_validate_json(body)

    def unexamined(self, limit: int) -> list[str]:
        """Return networks without an examination, the newest first."""
        query = (
            sqlalchemy.select(NETWORKS.c.id)
            .join(EXAMINATIONS, EXAMINATIONS.c.network == NETWORKS.c.id, isouter=True)
            .where(EXAMINATIONS.c.network.is_(None))
            .order_by(NETWORKS.c.sequence.desc())
            .limit(limit)
        )
        with reading(self._database) as connection:
            return [str(network) for network in connection.execute(query).scalars()]
