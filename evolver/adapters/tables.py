"""The evolver's tables through SQLAlchemy Core: the same statements on SQLite and PostgreSQL.

A row carries its message as JSON; a column of its own has only what a statement looks for.
"""

from collections import defaultdict

import sqlalchemy
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.exc import IntegrityError

from commons.adapters.database import reading, writing
from commons.errors import ConflictError, NotFoundError
from commons.messages import Evaluation, Individual, Run
from evolver.journal import summarised

_METADATA = sqlalchemy.MetaData()
# `sequence` and not the time says what is newer: clocks jump and two machines differ.
_RUNS = Table(
    "run",
    _METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("runner", String(64)),
    Column("stop_requested", Boolean, nullable=False, default=False),
    Index("run_by_state", "state", "sequence"),
    sqlite_autoincrement=True,
)
_INDIVIDUALS = Table(
    "individual",
    _METADATA,
    Column("run", String(64), ForeignKey("run.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("genome_hash", String(64), nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("run", "genome_hash", name="individual_once_a_run"),
)
_EVALUATIONS = Table(
    "evaluation",
    _METADATA,
    Column("run", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("rung", String(16), primary_key=True),
    Column("value", Text, nullable=False),
    ForeignKeyConstraint(["run", "number"], ["individual.run", "individual.number"]),
)


class SqlRuns:
    """`RunTable` and `RunLedger` of `evolver.ports` in a database from `create_database`."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(self, run: Run) -> None:
        """Store a queued run."""
        with writing(self._database) as connection:
            connection.execute(_RUNS.insert().values(id=run.id, **_columns(run)))

    def get(self, run: str) -> Run:
        """Return a run."""
        with reading(self._database) as connection:
            return _get(connection, run)

    def newest(self, limit: int) -> list[Run]:
        """Return the latest runs, newest first."""
        query = sqlalchemy.select(_RUNS.c.value).order_by(_RUNS.c.sequence.desc()).limit(limit)
        with reading(self._database) as connection:
            return [Run.model_validate_json(text) for text in connection.scalars(query)]

    def request_stop(self, run: str) -> Run:
        """Ask a run to end early; one that is still queued is stopped at once."""
        here = _RUNS.c.id == run
        with writing(self._database) as connection:
            found = _get(connection, run)
            reason = "stopped before it started"
            ended = found.model_copy(update={"state": "stopped", "reason": reason})
            connection.execute(
                _RUNS.update().where(here, _RUNS.c.state == "queued").values(_columns(ended))
            )
            connection.execute(_RUNS.update().where(here).values(stop_requested=True))
            return _get(connection, run)

    def claim(self, runner: str) -> Run | None:
        """Make the oldest queued run `running` in this runner's hands and return it."""
        oldest = (
            sqlalchemy.select(_RUNS.c.value)
            .where(_RUNS.c.state == "queued")
            .order_by(_RUNS.c.sequence)
            .limit(1)
        )
        with writing(self._database) as connection:
            text = connection.scalar(oldest)
            if text is None:
                return None
            run = Run.model_validate_json(text).model_copy(update={"state": "running"})
            # Where writers do not exclude each other, a second runner changes no row here.
            claimed = connection.execute(
                _RUNS.update()
                .where(_RUNS.c.id == run.id, _RUNS.c.state == "queued")
                .values(runner=runner, **_columns(run))
            )
            return run if claimed.rowcount else None

    def save(self, run: Run, runner: str) -> None:
        """Store how far a run is."""
        change = (
            _RUNS.update()
            .where(_RUNS.c.id == run.id, _RUNS.c.runner == runner)
            .values(_columns(run))
        )
        with writing(self._database) as connection:
            if not connection.execute(change).rowcount:
                raise ConflictError(f"run {run.id} is no longer in the hands of {runner}")

    def stop_requested(self, run: str) -> bool:
        """Say whether somebody asked this run to end early."""
        query = sqlalchemy.select(_RUNS.c.stop_requested).where(_RUNS.c.id == run)
        with reading(self._database) as connection:
            return bool(connection.scalar(query))

    def interrupt_abandoned(self, reason: str) -> list[str]:
        """Mark every running run `interrupted`, take it from its runner and return the ids."""
        query = sqlalchemy.select(_RUNS.c.value).where(_RUNS.c.state == "running")
        with writing(self._database) as connection:
            runs = [Run.model_validate_json(text) for text in connection.scalars(query)]
            for run in runs:
                ended = run.model_copy(update={"state": "interrupted", "reason": reason})
                connection.execute(
                    _RUNS.update()
                    .where(_RUNS.c.id == run.id)
                    .values(runner=None, **_columns(ended))
                )
        return [run.id for run in runs]


class SqlJournal:
    """`evolver.ports.Journal` in a database from `create_database`."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add_individual(self, run: str, individual: Individual) -> None:
        """Store an individual with its evaluations, all of them or nothing."""
        bare = individual.model_copy(update={"evaluations": []})
        row = {
            "run": run,
            "number": individual.number,
            "genome_hash": individual.genome_hash,
            "value": bare.model_dump_json(),
        }
        try:
            with writing(self._database) as connection:
                connection.execute(_INDIVIDUALS.insert().values(row))
                for evaluation in individual.evaluations:
                    _put(connection, run, individual.number, evaluation)
        except IntegrityError as error:
            raise ConflictError(
                f"individual {individual.number} of run {run}, or its genome, was born twice"
            ) from error

    def put_evaluation(self, run: str, number: int, evaluation: Evaluation) -> None:
        """Store what is known of one rung of an individual, in place of what was known."""
        with writing(self._database) as connection:
            _put(connection, run, number, evaluation)

    def individuals(self, run: str, after: int = 0) -> list[Individual]:
        """Return the individuals of a run with a number above `after`, oldest first."""
        bare = (
            sqlalchemy.select(_INDIVIDUALS.c.value)
            .where(_INDIVIDUALS.c.run == run, _INDIVIDUALS.c.number > after)
            .order_by(_INDIVIDUALS.c.number)
        )
        rungs = sqlalchemy.select(_EVALUATIONS.c.number, _EVALUATIONS.c.value).where(
            _EVALUATIONS.c.run == run, _EVALUATIONS.c.number > after
        )
        evaluations: defaultdict[int, list[Evaluation]] = defaultdict(list)
        with reading(self._database) as connection:
            individuals = [
                Individual.model_validate_json(text) for text in connection.scalars(bare)
            ]
            for row in connection.execute(rungs):
                evaluations[row.number].append(Evaluation.model_validate_json(row.value))
        return [_with(individual, evaluations[individual.number]) for individual in individuals]


def _columns(run: Run) -> dict[str, object]:
    return {"state": run.state, "value": run.model_dump_json()}


def _get(connection: Connection, run: str) -> Run:
    text = connection.scalar(sqlalchemy.select(_RUNS.c.value).where(_RUNS.c.id == run))
    if text is None:
        raise NotFoundError(f"there is no run {run}")
    return Run.model_validate_json(text)


def _put(connection: Connection, run: str, number: int, evaluation: Evaluation) -> None:
    table = _EVALUATIONS
    value = evaluation.model_dump_json()
    here = (table.c.run == run) & (table.c.number == number) & (table.c.rung == evaluation.rung)
    if not connection.execute(table.update().where(here).values(value=value)).rowcount:
        connection.execute(
            table.insert().values(run=run, number=number, rung=evaluation.rung, value=value)
        )


def _with(individual: Individual, evaluations: list[Evaluation]) -> Individual:
    return summarised(individual.model_copy(update={"evaluations": evaluations}))
