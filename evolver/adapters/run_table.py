"""The runs through SQLAlchemy Core: the same statements on SQLite and PostgreSQL."""

from collections.abc import Callable

import sqlalchemy
from sqlalchemy import Connection, Engine, Row

from commons.adapters.database import reading, writing
from commons.errors import ConflictError, NotFoundError
from commons.messages import Run
from commons.ports import Clock
from evolver.adapters.tables import RUNS
from evolver.ports import ENDED_FOR_GOOD

_LEASE_S = 15.0


class SqlRuns:
    """`RunTable` and `RunLedger` of `evolver.ports` in a database from `create_database`.

    Args:
        database: With migrated tables.
        clock: What leases are counted by; clocks of two machines may differ by a few seconds.
        lease_s: For how long a runner holds a run beyond its last word.
    """

    def __init__(self, database: Engine, clock: Clock, lease_s: float = _LEASE_S) -> None:
        self._database = database
        self._clock = clock
        self._lease_s = lease_s

    def add(self, run: Run) -> None:
        """Store a queued run."""
        with writing(self._database) as connection:
            connection.execute(RUNS.insert().values(id=run.id, **_columns(run)))

    def get(self, run: str) -> Run:
        """Return a run."""
        with reading(self._database) as connection:
            return _run(_row(connection, run))

    def newest(self, limit: int) -> list[Run]:
        """Return the latest runs, newest first."""
        query = sqlalchemy.select(RUNS.c.value).order_by(RUNS.c.sequence.desc()).limit(limit)
        with reading(self._database) as connection:
            return [Run.model_validate_json(text) for text in connection.scalars(query)]

    def request_stop(self, run: str) -> Run:
        """Ask a run to end early; one that is still queued is stopped at once."""
        here = RUNS.c.id == run
        with writing(self._database) as connection:
            found = _run(_row(connection, run))
            reason = "stopped before it started"
            ended = found.model_copy(update={"state": "stopped", "reason": reason})
            connection.execute(
                RUNS.update().where(here, RUNS.c.state == "queued").values(_columns(ended))
            )
            connection.execute(RUNS.update().where(here).values(stop_requested=True))
            return _run(_row(connection, run))

    def resume(self, run: str, is_dead: Callable[[str], bool]) -> Run:
        """Queue a run again that a runner left before its end."""
        with writing(self._database) as connection:
            row = _row(connection, run)
            found = _run(row)
            if found.state == "queued":
                return found
            if found.state == "running" and not self._is_abandoned(row, is_dead):
                raise ConflictError(f"run {run} is under way: another runner drives it")
            if found.state in ENDED_FOR_GOOD:
                raise ConflictError(f"run {run} is {found.state}: there is nothing to go on with")
            queued = found.model_copy(
                update={"state": "queued", "reason": None, "resumed": found.resumed + 1}
            )
            changed = connection.execute(
                RUNS.update()
                .where(RUNS.c.id == run, _unchanged(row))
                .values(runner=None, lease_until=None, stop_requested=False, **_columns(queued))
            )
            if not changed.rowcount:
                raise ConflictError(f"run {run} was just taken up by somebody else")
            return queued

    def give_up(self, run: str, reason: str) -> Run:
        """Make an interrupted or failed run `stopped`, so that nobody goes on with it."""
        with writing(self._database) as connection:
            row = _row(connection, run)
            found = _run(row)
            if found.state in ENDED_FOR_GOOD:
                return found
            if found.state not in ("interrupted", "failed"):
                raise ConflictError(f"run {run} is {found.state}: stop it first")
            ended = found.model_copy(update={"state": "stopped", "reason": reason})
            changed = connection.execute(
                RUNS.update().where(RUNS.c.id == run, _unchanged(row)).values(_columns(ended))
            )
            if not changed.rowcount:
                raise ConflictError(f"run {run} was just taken up by somebody else")
            return ended

    def claim(self, runner: str) -> Run | None:
        """Make the oldest queued run `running` in this runner's hands and return it."""
        oldest = (
            sqlalchemy.select(RUNS.c.value)
            .where(RUNS.c.state == "queued")
            .order_by(RUNS.c.sequence)
            .limit(1)
        )
        with reading(self._database) as connection:
            if connection.scalar(oldest) is None:
                return None
        with writing(self._database) as connection:
            text = connection.scalar(oldest)
            if text is None:
                return None
            run = Run.model_validate_json(text).model_copy(update={"state": "running"})
            # Where writers do not exclude each other, a second runner changes no row here.
            claimed = connection.execute(
                RUNS.update()
                .where(RUNS.c.id == run.id, RUNS.c.state == "queued")
                .values(runner=runner, lease_until=self._until(), **_columns(run))
            )
            return run if claimed.rowcount else None

    def save(self, run: Run, runner: str) -> None:
        """Store how far a run is, and hold it for another while."""
        self._hold(run.id, runner, _columns(run))

    def renew(self, run: str, runner: str) -> None:
        """Hold a run for another while."""
        self._hold(run, runner, {})

    def stop_requested(self, run: str) -> bool:
        """Say whether somebody asked this run to end early."""
        query = sqlalchemy.select(RUNS.c.stop_requested).where(RUNS.c.id == run)
        with reading(self._database) as connection:
            return bool(connection.scalar(query))

    def interrupt_abandoned(
        self, reason: str, is_dead: Callable[[str], bool], resumes: int = 0
    ) -> list[str]:
        """Mark the running runs that nobody holds `interrupted`, or queue them again."""
        # Who was told to end could mark its run, and had no time left to queue it.
        states = ("running", "interrupted") if resumes else ("running",)
        query = sqlalchemy.select(RUNS).where(RUNS.c.state.in_(states))
        with reading(self._database) as connection:
            rows = connection.execute(query).all()
        left = [row for row in rows if self._is_abandoned(row, is_dead)]
        return [row.id for row in left if self._let_go(row, reason, resumes)]

    def _let_go(self, row: Row[tuple[object, ...]], reason: str, resumes: int) -> bool:
        run = _run(row)
        goes_on = run.resumed < resumes and not row.stop_requested
        if run.state == "interrupted" and not goes_on:
            return False
        update: dict[str, object] = {"state": "interrupted", "reason": reason}
        if goes_on:
            update = {"state": "queued", "reason": None, "resumed": run.resumed + 1}
        progress = run.progress.model_copy(update={"workers": []})
        with writing(self._database) as connection:
            changed = connection.execute(
                RUNS.update()
                .where(
                    RUNS.c.id == row.id,
                    _unchanged(row),
                    RUNS.c.stop_requested == row.stop_requested,
                )
                .values(
                    runner=None,
                    lease_until=None,
                    **_columns(run.model_copy(update={**update, "progress": progress})),
                )
            )
            return bool(changed.rowcount)

    def _hold(self, run: str, runner: str, values: dict[str, object]) -> None:
        change = (
            RUNS.update()
            .where(RUNS.c.id == run, RUNS.c.runner == runner)
            .values(lease_until=self._until(), **values)
        )
        with writing(self._database) as connection:
            if not connection.execute(change).rowcount:
                raise ConflictError(f"run {run} is no longer in the hands of {runner}")

    def _until(self) -> float:
        return self._clock.now() + self._lease_s

    def _is_abandoned(self, row: Row[tuple[object, ...]], is_dead: Callable[[str], bool]) -> bool:
        over = row.lease_until is None or row.lease_until < self._clock.now()
        return over or row.runner is None or is_dead(row.runner)


def _columns(run: Run) -> dict[str, object]:
    return {"state": run.state, "value": run.model_dump_json()}


def _row(connection: Connection, run: str) -> Row[tuple[object, ...]]:
    row = connection.execute(sqlalchemy.select(RUNS).where(RUNS.c.id == run)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no run {run}")
    return row


def _run(row: Row[tuple[object, ...]]) -> Run:
    return Run.model_validate_json(row.value)


def _unchanged(row: Row[tuple[object, ...]]) -> sqlalchemy.ColumnElement[bool]:
    """Return the condition that nobody took a run, let go of it or renewed it since."""
    return sqlalchemy.and_(
        RUNS.c.state == row.state,
        RUNS.c.runner.is_not_distinct_from(row.runner),
        RUNS.c.lease_until.is_not_distinct_from(row.lease_until),
    )
