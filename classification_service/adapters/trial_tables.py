"""Rollbacks, trials and counted requests through SQLAlchemy Core, on SQLite and PostgreSQL."""

import json
from collections.abc import Iterable, Sequence

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from classification_service.adapters.tables import (
    METADATA,
    PROMOTION_LOCK,
    PROMOTIONS,
    ROLLBACKS,
    standing,
)
from classification_service.trial_ports import Pair, Traffic
from commons.adapters.database import one_at_a_time, reading, writing
from commons.errors import ConflictError, NotFoundError
from commons.trial_messages import ReignEvent, Trial, TrialState

_TRIALS = Table(
    "trial",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("dataset", String(63), nullable=False),
    # The dataset of a trial that runs; null for those that ended: at most one runs.
    Column("runs_for", String(63), nullable=True, unique=True),
    Column("network", String(64), ForeignKey("network.id"), nullable=False),
    Column("champion", String(64), ForeignKey("network.id"), nullable=True),
    Column("mode", String(16), nullable=False),
    Column("share", Float, nullable=False),
    Column("promote", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float, nullable=True),
    Column("reason", Text, nullable=True),
    Column("answers", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("compared", BigInteger, nullable=False),
    Column("disagreed", BigInteger, nullable=False),
    Index("trial_by_dataset", "dataset", "sequence"),
    sqlite_autoincrement=True,
)
_PAIRS = Table(
    "trial_pair",
    METADATA,
    Column("trial", Integer, ForeignKey("trial.sequence"), primary_key=True),
    Column("image", String(64), primary_key=True),
    Column("challenger_right", Boolean, nullable=False),
    Column("champion_right", Boolean, nullable=False),
)
_TRAFFIC = Table(
    "traffic",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("network", String(64), nullable=False),
    Column("counted", Float, nullable=False),
    Column("answers", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("compared", Integer, nullable=False),
    Column("disagreed", Integer, nullable=False),
    Column("latencies", Text, nullable=False),
    Index("traffic_by_network", "network", "counted"),
    Index("traffic_by_time", "counted"),
    sqlite_autoincrement=True,
)
_COUNTED = ("answers", "errors", "compared", "disagreed")


class SqlReignTables:
    """`classification_service.trial_ports.ReignTables` in the database of the gallery."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def roll_back(self, promotion: int, reason: str, when: float, *, automatic: bool) -> None:
        """Undo a promotion durably."""
        event = {
            "promotion": promotion,
            "reason": reason,
            "automatic": automatic,
            "rolled_back": when,
        }
        is_known = sqlalchemy.select(PROMOTIONS.c.sequence).where(
            PROMOTIONS.c.sequence == promotion
        )
        with one_at_a_time(self._database, PROMOTION_LOCK) as connection:
            if connection.execute(is_known).first() is None:
                raise NotFoundError(f"there is no promotion {promotion}")
            try:
                connection.execute(ROLLBACKS.insert().values(event))
            except IntegrityError as error:
                raise ConflictError(
                    "this promotion was rolled back already", kind="rolled-back"
                ) from error

    def history(self, dataset: str) -> list[ReignEvent]:
        """Return the promotions and rollbacks of a dataset, newest first."""
        mine = PROMOTIONS.c.dataset == dataset
        joined = ROLLBACKS.join(PROMOTIONS, ROLLBACKS.c.promotion == PROMOTIONS.c.sequence)
        undone = sqlalchemy.select(ROLLBACKS, PROMOTIONS.c.network).select_from(joined).where(mine)
        with reading(self._database) as connection:
            promotions = connection.execute(sqlalchemy.select(PROMOTIONS).where(mine)).all()
            rollbacks = connection.execute(undone).all()
        return _events(promotions, rollbacks)


class SqlTrialTables:
    """`TrialTables` and `PairTables` of `trial_ports` in the database of the gallery."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def begin(self, trial: Trial) -> Trial:
        """Store a trial durably and return it with its id."""
        values = trial.model_dump(exclude={"id", "images", "better", "worse"})
        values["runs_for"] = trial.dataset if trial.state == "running" else None
        earlier = (
            _TRIALS.update()
            .where(_TRIALS.c.runs_for == trial.dataset)
            .values(
                runs_for=None,
                state="superseded",
                ended=trial.started,
                reason="another network was put on trial",
            )
        )
        try:
            with writing(self._database) as connection:
                connection.execute(earlier)
                insert = _TRIALS.insert().values(values).returning(_TRIALS.c.sequence)
                number = connection.execute(insert).scalar_one()
        except IntegrityError as error:
            raise ConflictError(
                f"another trial of {trial.dataset} began at this moment", kind="trial-began"
            ) from error
        return trial.model_copy(update={"id": number})

    def running(self) -> list[Trial]:
        """Return the trials that run, by dataset name."""
        running = _trials().where(_TRIALS.c.runs_for.is_not(None))
        return self._read(running.order_by(_TRIALS.c.dataset))

    def trials(self, dataset: str) -> list[Trial]:
        """Return the trials of a dataset, newest first."""
        mine = _trials().where(_TRIALS.c.dataset == dataset)
        return self._read(mine.order_by(_TRIALS.c.sequence.desc()))

    def end(self, trial: int, state: TrialState, reason: str, when: float) -> bool:
        """End a trial durably and say whether it was still running."""
        with writing(self._database) as connection:
            return _ended(connection, trial, state, reason, when)

    def promote(self, trial: Trial, reason: str, when: float) -> bool:
        """Promote the network of a trial that runs beside its champion, and end the trial."""
        event = {"dataset": trial.dataset, "network": trial.network, "promoted": when}
        with one_at_a_time(self._database, PROMOTION_LOCK) as connection:
            present = connection.execute(standing(trial.dataset)).first()
            if present is None or present.network != trial.champion:
                return False
            if not _ended(connection, trial.id, "promoted", reason, when):
                return False
            connection.execute(PROMOTIONS.insert().values(event))
            return True

    def count(self, trial: int, traffic: Traffic) -> None:
        """Add requests to those that a trial has seen."""
        more = {name: _TRIALS.c[name] + getattr(traffic, name) for name in _COUNTED}
        with writing(self._database) as connection:
            connection.execute(_TRIALS.update().where(_TRIALS.c.sequence == trial).values(more))

    def add_pairs(self, trial: int, pairs: Sequence[Pair]) -> Trial:
        """Store pairs durably, each image once, and return the trial with their numbers."""
        rows = [{"trial": trial, **vars(pair)} for pair in pairs]
        with writing(self._database) as connection:
            found = connection.execute(_trials().where(_TRIALS.c.sequence == trial)).first()
            if found is None:
                raise NotFoundError(f"there is no trial {trial}")
            if rows:
                _insert_new(connection, rows)
                found = connection.execute(_trials().where(_TRIALS.c.sequence == trial)).one()
        return _trial(found)

    def judged(self, trial: int) -> set[str]:
        """Return the images that are stored already."""
        query = sqlalchemy.select(_PAIRS.c.image).where(_PAIRS.c.trial == trial)
        with reading(self._database) as connection:
            return set(connection.execute(query).scalars())

    def _read(self, query: Select[tuple[object, ...]]) -> list[Trial]:
        with reading(self._database) as connection:
            return [_trial(row) for row in connection.execute(query)]


class SqlTrafficTables:
    """`classification_service.trial_ports.TrafficTables` in the database of the gallery."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(self, counted: Iterable[tuple[str, Traffic]], when: float) -> None:
        """Store what networks did up to now since it was last stored."""
        rows = [
            {
                "network": network,
                "counted": when,
                **{name: getattr(traffic, name) for name in _COUNTED},
                "latencies": json.dumps(traffic.latencies, separators=(",", ":")),
            }
            for network, traffic in counted
        ]
        if rows:
            with writing(self._database) as connection:
                connection.execute(_TRAFFIC.insert(), rows)

    def total(self, network: str, since: float) -> Traffic:
        """Return what was stored of a network since a time (unix seconds)."""
        query = sqlalchemy.select(_TRAFFIC).where(
            _TRAFFIC.c.network == network, _TRAFFIC.c.counted >= since
        )
        with reading(self._database) as connection:
            found = [_counted(row) for row in connection.execute(query)]
        return sum(found, Traffic())

    def forget(self, before: float) -> None:
        """Remove what was stored before a time (unix seconds)."""
        with writing(self._database) as connection:
            connection.execute(_TRAFFIC.delete().where(_TRAFFIC.c.counted < before))


def _events(
    promotions: Sequence[Row[tuple[object, ...]]], rollbacks: Sequence[Row[tuple[object, ...]]]
) -> list[ReignEvent]:
    """Return what happened, newest first; a rollback says to whom it went back."""
    # Of two at one time the promotion was first: it is what the rollback undid.
    moments = [(row.promoted, 0, row.sequence, row) for row in promotions]
    moments += [(row.rolled_back, 1, row.sequence, row) for row in rollbacks]
    standing: dict[int, str] = {}
    events: list[ReignEvent] = []
    for when, is_rollback, sequence, row in sorted(moments, key=lambda moment: moment[:3]):
        if not is_rollback:
            standing[sequence] = row.network
            events.append(ReignEvent(kind="promotion", network=row.network, when=when))
            continue
        standing.pop(row.promotion, None)
        event = ReignEvent(
            kind="rollback",
            network=standing[max(standing)] if standing else row.network,
            when=when,
            undone=row.network,
            reason=row.reason,
            automatic=row.automatic,
        )
        events.append(event)
    return events[::-1]


def _trials() -> Select[tuple[object, ...]]:
    """Return the question for trials with the numbers of their pairs."""
    right, wrong = sqlalchemy.true(), sqlalchemy.false()
    better = (_PAIRS.c.challenger_right == right) & (_PAIRS.c.champion_right == wrong)
    worse = (_PAIRS.c.challenger_right == wrong) & (_PAIRS.c.champion_right == right)
    mine = _PAIRS.c.trial == _TRIALS.c.sequence

    def number(*conditions: sqlalchemy.ColumnElement[bool]) -> sqlalchemy.ScalarSelect[int]:
        counting = sqlalchemy.select(func.count()).select_from(_PAIRS).where(mine, *conditions)
        return counting.correlate(_TRIALS).scalar_subquery()

    return sqlalchemy.select(
        _TRIALS,
        number().label("images"),
        number(better).label("better"),
        number(worse).label("worse"),
    )


def _trial(row: Row[tuple[object, ...]]) -> Trial:
    values = {k: v for k, v in row._mapping.items() if k not in ("sequence", "runs_for")}
    return Trial.model_validate({"id": row.sequence, **values})


def _ended(connection: Connection, trial: int, state: TrialState, reason: str, when: float) -> bool:
    """End a trial if it still runs, and say whether it did."""
    ending = (
        _TRIALS.update()
        .where(_TRIALS.c.sequence == trial, _TRIALS.c.runs_for.is_not(None))
        .values(runs_for=None, state=state, reason=reason, ended=when)
    )
    return connection.execute(ending).rowcount == 1


def _counted(row: Row[tuple[object, ...]]) -> Traffic:
    latencies = tuple(json.loads(row.latencies))
    return Traffic(row.answers, row.errors, row.compared, row.disagreed, latencies)


def _insert_new(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Insert the pairs whose image is not there yet: two may judge at once."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    key = ["trial", "image"]
    connection.execute(dialect.insert(_PAIRS).on_conflict_do_nothing(index_elements=key), rows)
