"""The journal through SQLAlchemy Core: the same statements on SQLite and PostgreSQL."""

import json
from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from commons.adapters.database import reading, writing
from commons.errors import ConflictError
from commons.messages import EpochReport, Evaluation, Individual
from evolver.adapters.tables import EVALUATIONS, INDIVIDUALS, RUNS
from evolver.journal import summarised
from evolver.ports import ENDED_FOR_GOOD, BlobKind


class SqlJournal:
    """`evolver.ports.Journal` in a database from `create_database`."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add_individual(self, run: str, individual: Individual, runner: str) -> None:
        """Store an individual with its evaluations, all of them or nothing."""
        row = {
            "run": run,
            "number": individual.number,
            "genome_hash": individual.genome_hash,
            "value": _bare(individual),
        }
        try:
            with writing(self._database) as connection:
                _check_holder(connection, run, runner)
                connection.execute(INDIVIDUALS.insert().values(row))
                for evaluation in individual.evaluations:
                    _put(connection, run, individual.number, evaluation)
        except IntegrityError as error:
            raise ConflictError(
                f"individual {individual.number} of run {run}, or its genome, was born twice"
            ) from error

    def put_evaluation(self, run: str, number: int, evaluation: Evaluation, runner: str) -> None:
        """Store what is known of one rung of an individual, in place of what was known."""
        with writing(self._database) as connection:
            _check_holder(connection, run, runner)
            _put(connection, run, number, evaluation)

    def put_latency(self, run: str, number: int, latency_us: float, cpu: str, runner: str) -> None:
        """Store how fast an individual answers, in place of what was known."""
        here = (INDIVIDUALS.c.run == run) & (INDIVIDUALS.c.number == number)
        with writing(self._database) as connection:
            _check_holder(connection, run, runner)
            text = connection.scalar(sqlalchemy.select(INDIVIDUALS.c.value).where(here))
            update = {"latency_us": latency_us, "cpu": cpu}
            known = Individual.model_validate_json(str(text)).model_copy(update=update)
            connection.execute(INDIVIDUALS.update().where(here).values(value=_bare(known)))

    def forget_blobs(
        self, run: str, number: int, rung: str, kinds: Sequence[BlobKind], runner: str
    ) -> None:
        """Store that what a training left in the blobs is no longer there."""
        here = _of(run, number, rung)
        query = sqlalchemy.select(EVALUATIONS.c.value).where(here)
        with writing(self._database) as connection:
            _check_holder(connection, run, runner)
            known = Evaluation.model_validate_json(str(connection.scalar(query)))
            without = known.model_copy(update=dict.fromkeys(kinds))
            value = without.model_dump_json(exclude={"history"})
            connection.execute(
                EVALUATIONS.update().where(here).values(value=value, weights=without.weights)
            )

    def forget_all_blobs(self, run: str) -> None:
        """Store that no training of a run has anything in the blobs any more."""
        of_run = EVALUATIONS.c.run == run
        query = sqlalchemy.select(EVALUATIONS.c.number, EVALUATIONS.c.rung, EVALUATIONS.c.value)
        with writing(self._database) as connection:
            _check_ended(connection, run)
            for row in connection.execute(query.where(of_run)).all():
                known = Evaluation.model_validate_json(row.value)
                without = known.model_copy(update={"weights": None, "checkpoint": None})
                value = without.model_dump_json(exclude={"history"})
                connection.execute(
                    EVALUATIONS.update()
                    .where(_of(run, row.number, row.rung))
                    .values(value=value, weights=None)
                )

    def individuals(
        self, run: str, after: int = 0, limit: int | None = None, *, histories: bool = False
    ) -> list[Individual]:
        """Return the individuals of a run above `after`, oldest first; all, or the first ones."""
        bare = (
            sqlalchemy.select(INDIVIDUALS.c.value)
            .where(INDIVIDUALS.c.run == run, INDIVIDUALS.c.number > after)
            .order_by(INDIVIDUALS.c.number)
            .limit(limit)
        )
        columns = [EVALUATIONS.c.number, EVALUATIONS.c.value]
        columns += [EVALUATIONS.c.history] if histories else []
        rungs = sqlalchemy.select(*columns).where(
            EVALUATIONS.c.run == run, EVALUATIONS.c.number > after
        )
        found: defaultdict[int, list[Evaluation]] = defaultdict(list)
        with reading(self._database) as connection:
            individuals = [
                Individual.model_validate_json(text) for text in connection.scalars(bare)
            ]
            if limit is not None and individuals:
                rungs = rungs.where(EVALUATIONS.c.number <= individuals[-1].number)
            for row in connection.execute(rungs):
                history = row.history if histories else None
                found[row.number].append(_evaluation(row.value, history))
        return [
            summarised(each.model_copy(update={"evaluations": found[each.number]}))
            for each in individuals
        ]

    def same_training(self, key: str) -> Evaluation | None:
        """Return a training of any run that ended well under a key and still has its weights."""
        query = sqlalchemy.select(EVALUATIONS.c.value, EVALUATIONS.c.history).where(
            EVALUATIONS.c.training_key == key, EVALUATIONS.c.weights.is_not(None)
        )
        with reading(self._database) as connection:
            rows = connection.execute(query).all()
        found = [_evaluation(row.value, row.history) for row in rows]
        return next((known for known in found if known.outcome == "ok" and not known.stopped), None)

    def users_of(self, weights: str) -> int:
        """Return how many trainings of all runs have these weights."""
        query = sqlalchemy.select(sqlalchemy.func.count()).where(EVALUATIONS.c.weights == weights)
        with reading(self._database) as connection:
            return int(connection.scalar(query) or 0)


def _check_holder(connection: Connection, run: str, runner: str) -> None:
    """Raise unless a runner holds a run, and keep it from being taken until the block ends."""
    query = sqlalchemy.select(RUNS.c.runner).where(RUNS.c.id == run).with_for_update(read=True)
    if connection.scalar(query) != runner:
        raise ConflictError(f"run {run} is no longer in the hands of {runner}")


def _check_ended(connection: Connection, run: str) -> None:
    state = connection.scalar(sqlalchemy.select(RUNS.c.state).where(RUNS.c.id == run))
    if state not in ENDED_FOR_GOOD:
        raise ConflictError(f"run {run} is {state}: what it has may be needed")


def _put(connection: Connection, run: str, number: int, evaluation: Evaluation) -> None:
    history = [report.model_dump() for report in evaluation.history]
    values: dict[str, object] = {
        "value": evaluation.model_dump_json(exclude={"history"}),
        "history": json.dumps(history) if history else None,
        "training_key": evaluation.key,
        "weights": evaluation.weights,
    }
    here = _of(run, number, evaluation.rung)
    if not connection.execute(EVALUATIONS.update().where(here).values(values)).rowcount:
        place: dict[str, object] = {"run": run, "number": number, "rung": evaluation.rung}
        connection.execute(EVALUATIONS.insert().values(place | values))


def _of(run: str, number: int, rung: str) -> sqlalchemy.ColumnElement[bool]:
    columns = EVALUATIONS.c
    return sqlalchemy.and_(columns.run == run, columns.number == number, columns.rung == rung)


def _bare(individual: Individual) -> str:
    return individual.model_copy(update={"evaluations": []}).model_dump_json()


def _evaluation(value: str, history: str | None) -> Evaluation:
    evaluation = Evaluation.model_validate_json(value)
    if history is None:
        return evaluation
    reports: Sequence[EpochReport] = [EpochReport(**each) for each in json.loads(history)]
    return evaluation.model_copy(update={"history": reports})
