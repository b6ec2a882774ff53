"""The gallery's tables through SQLAlchemy Core: the same statements on SQLite and PostgreSQL."""

from dataclasses import replace

import sqlalchemy
from pydantic import ValidationError
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    func,
)
from sqlalchemy.exc import IntegrityError

from classification_service.loading import damaged
from classification_service.ports import RegisteredNetwork, Reign
from commons.adapters.database import one_at_a_time, reading, writing
from commons.errors import ConflictError, InvalidInputError, NotFoundError
from commons.network_card import NetworkCard
from commons.network_names import is_name, is_start

METADATA = sqlalchemy.MetaData()
# `sequence` and not the time says what is newer: clocks jump and two machines differ.
NETWORKS = Table(
    "network",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("dataset", String(63), nullable=False),
    Column("card", Text, nullable=False),
    Column("registered", Float, nullable=False),
    Column("name", String(64), nullable=True),
    Index("network_by_dataset", "dataset", "sequence"),
    Index("network_by_name", "name", unique=True),
    sqlite_autoincrement=True,
)
PROMOTIONS = Table(
    "promotion",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("dataset", String(63), nullable=False),
    Column("network", String(64), ForeignKey("network.id"), nullable=False),
    Column("promoted", Float, nullable=False),
    Index("promotion_by_dataset", "dataset", "sequence"),
    sqlite_autoincrement=True,
)
# The champion of a dataset is the network of its latest promotion that is not in here.
ROLLBACKS = Table(
    "rollback",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("promotion", Integer, ForeignKey("promotion.sequence"), nullable=False, unique=True),
    Column("reason", Text, nullable=False),
    Column("automatic", Boolean, nullable=False),
    Column("rolled_back", Float, nullable=False),
    sqlite_autoincrement=True,
)
PROMOTION_LOCK = 0x70726F6D  # any number: all who change a champion ask for this one
_NAME_LOCK = 0x6E616D65  # the same of all who give names


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
                connection.execute(NETWORKS.insert().values(values))
        except IntegrityError:
            # The id is the hash of the card, so the one that is there is the same.
            return False
        return True

    def network(self, network: str) -> RegisteredNetwork:
        """Return one network by its id, by the first digits of it, or by its name."""
        query = sqlalchemy.select(NETWORKS).where(_is_called(network)).limit(2)
        with reading(self._database) as connection:
            rows = connection.execute(query).all()
        if not rows:
            raise _unknown(network)
        if len(rows) > 1:
            raise InvalidInputError(f"several networks start with {network}: give more of the id")
        return _registered(rows[0])

    def networks(self, dataset: str | None = None) -> list[RegisteredNetwork]:
        """Return the networks of one dataset, or all, newest first."""
        query = sqlalchemy.select(NETWORKS).order_by(NETWORKS.c.sequence.desc())
        if dataset is not None:
            query = query.where(NETWORKS.c.dataset == dataset)
        with reading(self._database) as connection:
            return [_registered(row) for row in connection.execute(query)]

    def promote(self, dataset: str, network: str, when: float) -> None:
        """Append a promotion durably."""
        event = {"dataset": dataset, "network": network, "promoted": when}
        try:
            with one_at_a_time(self._database, PROMOTION_LOCK) as connection:
                present = connection.execute(standing(dataset)).first()
                if present is None or present.network != network:
                    connection.execute(PROMOTIONS.insert().values(event))
        except IntegrityError as error:
            raise _unknown(network) from error

    def champions(self) -> list[Reign]:
        """Return who answers for every dataset that has a champion, by dataset name."""
        place = func.row_number().over(
            partition_by=PROMOTIONS.c.dataset, order_by=PROMOTIONS.c.sequence.desc()
        )
        placed = (
            sqlalchemy.select(PROMOTIONS, place.label("place")).where(_is_standing()).subquery()
        )
        query = (
            sqlalchemy.select(placed)
            .where(placed.c.place <= 2)  # noqa: PLR2004 - the champion, and who was it before
            .order_by(placed.c.dataset, placed.c.place)
        )
        reigns: list[Reign] = []
        with reading(self._database) as connection:
            for row in connection.execute(query):
                if row.place == 1:
                    reigns.append(Reign(row.dataset, row.network, row.sequence, row.promoted))
                else:
                    reigns[-1] = replace(reigns[-1], before=row.network)
        return reigns


class SqlNameTables:
    """`classification_service.ports.NameTables` in the same database."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def names(self) -> dict[str, str]:
        """Return the ids of the networks that have a name, by name."""
        query = sqlalchemy.select(NETWORKS.c.name, NETWORKS.c.id).where(
            NETWORKS.c.name.is_not(None)
        )
        with reading(self._database) as connection:
            return {row.name: row.id for row in connection.execute(query)}

    def give(self, network: str, name: str | None, *, move: bool = False) -> None:
        """Give a network a name instead of the one it has, durably."""
        with one_at_a_time(self._database, _NAME_LOCK) as connection:
            if name is not None:
                _free(connection, name, network, move=move)
            mine = NETWORKS.update().where(NETWORKS.c.id == network)
            if not connection.execute(mine.values(name=name)).rowcount:
                raise _unknown(network)


def _free(connection: Connection, name: str, network: str, *, move: bool) -> None:
    """Take a name from another network that has it, if it is to be moved."""
    is_other = (NETWORKS.c.name == name) & (NETWORKS.c.id != network)
    owner = connection.scalar(sqlalchemy.select(NETWORKS.c.id).where(is_other))
    if owner is not None and not move:
        raise ConflictError(
            f"the network {owner} has the name {name}: `move` takes it from there",
            kind="name-taken",
        )
    connection.execute(NETWORKS.update().where(is_other).values(name=None))


def _is_standing() -> ColumnElement[bool]:
    """Return the condition under which a promotion was not undone."""
    return PROMOTIONS.c.sequence.not_in(sqlalchemy.select(ROLLBACKS.c.promotion))


def standing(dataset: str) -> Select[tuple[object, ...]]:
    """Return the question for the promotions of a dataset that were not undone, latest first."""
    mine = sqlalchemy.select(PROMOTIONS).where(PROMOTIONS.c.dataset == dataset, _is_standing())
    return mine.order_by(PROMOTIONS.c.sequence.desc())


def _is_called(said: str) -> ColumnElement[bool]:
    """Return the condition under which a network has this id, a longer one, or this name."""
    if is_start(said):
        return (NETWORKS.c.id >= said) & (NETWORKS.c.id < said + "g")
    return NETWORKS.c.name == said if is_name(said) else sqlalchemy.false()


def _registered(row: Row[tuple[object, ...]]) -> RegisteredNetwork:
    try:
        card = NetworkCard.model_validate_json(row.card)
    except ValidationError as error:
        raise damaged(f"this version of the service cannot read its card: {error}") from error
    return RegisteredNetwork(row.id, card, row.registered, row.name)


def _unknown(network: str) -> NotFoundError:
    return NotFoundError(f"there is no network {network}")
