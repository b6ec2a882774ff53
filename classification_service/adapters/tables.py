"""The gallery's tables through SQLAlchemy Core: the same statements on SQLite and PostgreSQL."""

import sqlalchemy
from pydantic import ValidationError
from sqlalchemy import Column, Engine, Float, ForeignKey, Index, Integer, Row, String, Table, Text
from sqlalchemy.exc import IntegrityError

from classification_service.loading import damaged
from classification_service.ports import RegisteredNetwork
from commons.adapters.database import reading, writing
from commons.errors import NotFoundError
from commons.messages import Champion
from commons.network_card import NetworkCard

_METADATA = sqlalchemy.MetaData()
# `sequence` and not the time says what is newer: clocks jump and two machines differ.
_NETWORKS = Table(
    "network",
    _METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("dataset", String(63), nullable=False),
    Column("card", Text, nullable=False),
    Column("registered", Float, nullable=False),
    Index("network_by_dataset", "dataset", "sequence"),
    sqlite_autoincrement=True,
)
_PROMOTIONS = Table(
    "promotion",
    _METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("dataset", String(63), nullable=False),
    Column("network", String(64), ForeignKey("network.id"), nullable=False),
    Column("promoted", Float, nullable=False),
    Index("promotion_by_dataset", "dataset", "sequence"),
    sqlite_autoincrement=True,
)


class SqlGalleryTables:
    """`classification_service.ports.GalleryTables` in a database from `create_database`."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add_network(self, entry: RegisteredNetwork) -> bool:
        """Store a network durably and say whether it is new."""
        values = {
            "id": entry.network,
            "dataset": entry.card.dataset,
            "card": entry.card.model_dump_json(),
            "registered": entry.registered,
        }
        try:
            with writing(self._database) as connection:
                connection.execute(_NETWORKS.insert().values(values))
        except IntegrityError:
            # The id is the hash of the card, so the one that is there is the same.
            return False
        return True

    def network(self, network: str) -> RegisteredNetwork:
        """Return one network."""
        query = sqlalchemy.select(_NETWORKS).where(_NETWORKS.c.id == network)
        with reading(self._database) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise _unknown(network)
        return _registered(row)

    def networks(self, dataset: str | None = None) -> list[RegisteredNetwork]:
        """Return the networks of one dataset, or all, newest first."""
        query = sqlalchemy.select(_NETWORKS).order_by(_NETWORKS.c.sequence.desc())
        if dataset is not None:
            query = query.where(_NETWORKS.c.dataset == dataset)
        with reading(self._database) as connection:
            return [_registered(row) for row in connection.execute(query)]

    def promote(self, dataset: str, network: str, when: float) -> None:
        """Append a promotion durably."""
        event = {"dataset": dataset, "network": network, "promoted": when}
        try:
            with writing(self._database) as connection:
                connection.execute(_PROMOTIONS.insert().values(event))
        except IntegrityError as error:
            raise _unknown(network) from error

    def champions(self) -> list[Champion]:
        """Return the network promoted last of every dataset that has one."""
        latest = sqlalchemy.select(sqlalchemy.func.max(_PROMOTIONS.c.sequence)).group_by(
            _PROMOTIONS.c.dataset
        )
        query = (
            sqlalchemy.select(_PROMOTIONS)
            .where(_PROMOTIONS.c.sequence.in_(latest))
            .order_by(_PROMOTIONS.c.dataset)
        )
        with reading(self._database) as connection:
            return [
                Champion(dataset=row.dataset, network=row.network, since=row.promoted)
                for row in connection.execute(query)
            ]


def _registered(row: Row[tuple[object, ...]]) -> RegisteredNetwork:
    try:
        card = NetworkCard.model_validate_json(row.card)
    except ValidationError as error:
        raise damaged(f"this version of the service cannot read its card: {error}") from error
    return RegisteredNetwork(row.id, card, row.registered)


def _unknown(network: str) -> NotFoundError:
    return NotFoundError(f"there is no network {network}")
