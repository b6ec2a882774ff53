"""One contract for the evolver's tables: in memory, and in each database."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commons.adapters.database import create_database, migrate, sqlite_url
from commons.errors import ConflictError, NotFoundError
from commons.messages import Evaluation
from evolver.adapters.tables import SqlJournal, SqlRuns
from evolver.app import MIGRATIONS
from tests.databases import database_urls
from tests.evolver_builders import MemoryRuns, individual, queued_run


class SqlTables(SqlRuns, SqlJournal):
    """Both adapters over one database, as the in-memory one is both."""


@pytest.fixture(params=["memory", *database_urls])
def reopen(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Return a function that opens the same tables anew, as another process would."""
    if request.param == "memory":
        tables = MemoryRuns()
        return lambda: tables
    url = request.param(request)

    def open_tables() -> SqlTables:
        database = create_database(url)
        migrate(database, MIGRATIONS)
        request.addfinalizer(database.dispose)
        return SqlTables(database)

    return open_tables


@pytest.fixture
def tables(reopen: Callable[[], Any]) -> Any:
    return reopen()


def test_a_run_that_was_added_is_there_for_everybody(tables: Any, reopen: Any) -> None:
    run = queued_run(shape=(8, 8, 1), taxonomy={"heads": ["max"]})
    tables.add(run)
    assert reopen().get("r1") == run


def test_an_unknown_run_is_not_found(tables: Any) -> None:
    for ask in (tables.get, tables.request_stop):
        with pytest.raises(NotFoundError, match="nothing"):
            ask("nothing")
    assert not tables.stop_requested("nothing")
    assert tables.individuals("nothing") == []


def test_runs_are_listed_newest_first_up_to_a_limit(tables: Any) -> None:
    for name in ("a", "b", "c"):
        tables.add(queued_run(name))
    assert [run.id for run in tables.newest(2)] == ["c", "b"]


def test_the_oldest_queued_run_is_claimed_once(tables: Any, reopen: Any) -> None:
    assert tables.claim("one") is None
    tables.add(queued_run("a"))
    tables.add(queued_run("b"))
    first, second, third = tables.claim("one"), reopen().claim("two"), tables.claim("one")
    assert (first.id, first.state) == ("a", "running")
    assert second.id == "b"
    assert third is None
    assert tables.get("a").state == "running"


def test_progress_is_saved_by_the_runner_that_holds_the_run_alone(tables: Any) -> None:
    tables.add(queued_run("a"))
    run = tables.claim("one")
    progress = run.progress.model_copy(update={"births": 3})
    changed = run.model_copy(update={"progress": progress})
    tables.save(changed, "one")
    assert tables.get("a") == changed
    with pytest.raises(ConflictError):
        tables.save(run, "two")
    assert tables.get("a") == changed


def test_a_stop_request_is_seen_by_the_runner_and_outlives_its_saves(tables: Any) -> None:
    tables.add(queued_run("a"))
    run = tables.claim("one")
    assert not tables.stop_requested("a")
    assert tables.request_stop("a").state == "running"
    tables.save(run, "one")
    assert tables.stop_requested("a")


def test_a_queued_run_that_is_stopped_is_never_claimed(tables: Any) -> None:
    tables.add(queued_run("a"))
    assert tables.request_stop("a").state == "stopped"
    assert tables.claim("one") is None


def test_a_run_that_has_ended_stays_as_it_is_when_it_is_stopped(tables: Any) -> None:
    tables.add(queued_run("a"))
    ended = tables.claim("one").model_copy(update={"state": "complete"})
    tables.save(ended, "one")
    assert tables.request_stop("a") == ended


def test_abandoned_runs_are_interrupted_and_out_of_their_runners_hands(tables: Any) -> None:
    tables.add(queued_run("a"))
    run = tables.claim("dead")
    tables.add(queued_run("b"))
    assert tables.interrupt_abandoned("the reason") == ["a"]
    assert (tables.get("a").state, tables.get("a").reason) == ("interrupted", "the reason")
    assert tables.get("b").state == "queued"
    with pytest.raises(ConflictError):
        tables.save(run, "dead")
    assert tables.interrupt_abandoned("again") == []


def test_individuals_come_back_in_order_with_their_evaluations(tables: Any, reopen: Any) -> None:
    tables.add(queued_run("a"))
    for number in (1, 2, 3):
        tables.add_individual("a", individual(number))
    found = reopen().individuals("a")
    assert [each.number for each in found] == [1, 2, 3]
    assert found[0] == individual(1)
    assert [each.number for each in tables.individuals("a", after=2)] == [3]
    assert tables.individuals("b") == []


def test_an_evaluation_replaces_what_was_known_of_its_rung(tables: Any) -> None:
    tables.add(queued_run("a"))
    tables.add_individual("a", individual(1))
    done = Evaluation(rung="1", state="finished", outcome="ok", accuracy=0.5, loss=1.0, weights="w")
    for _ in range(2):  # a repeated write changes nothing
        tables.put_evaluation("a", 1, done)
    tables.put_evaluation("a", 1, Evaluation(rung="final"))
    found = tables.individuals("a")[0]
    assert found.evaluations == [done, Evaluation(rung="final")]
    assert (found.state, found.fitness, found.outcome) == ("finished", 0.5, "ok")


def test_a_genome_is_born_once_a_run(tmp_path: Path) -> None:
    database = create_database(sqlite_url(tmp_path / "evolver.sqlite3"))
    migrate(database, MIGRATIONS)
    runs, journal = SqlRuns(database), SqlJournal(database)
    for name in ("a", "b"):
        runs.add(queued_run(name))
        journal.add_individual(name, individual(1))
    twin = individual(1).model_copy(update={"number": 2})
    with pytest.raises(ConflictError, match="twice"):
        journal.add_individual("a", twin)
    assert [each.number for each in journal.individuals("a")] == [1]
    database.dispose()
