"""One contract for the evolver's tables: in memory, and in each database."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy

from commons.adapters.database import (
    create_database,
    migrate,
    one_at_a_time,
    sqlite_url,
    version_table,
)
from commons.errors import ConflictError, NotFoundError
from commons.messages import EpochReport, Evaluation
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.run_table import SqlRuns
from evolver.app import MIGRATIONS
from tests.databases import database_urls
from tests.evolver_builders import (
    FakeClock,
    MemoryRuns,
    individual,
    nobody_is_dead,
    queued_run,
)

LEASE_S = 15.0


class SqlTables(SqlRuns, SqlJournal):
    """Both adapters over one database, as the in-memory one is both."""

    def __init__(self, database: sqlalchemy.Engine, clock: FakeClock) -> None:
        SqlRuns.__init__(self, database, clock, LEASE_S)
        SqlJournal.__init__(self, database)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", *database_urls])
def reopen(request: pytest.FixtureRequest, clock: FakeClock) -> Callable[[], Any]:
    """Return a function that opens the same tables anew, as another process would."""
    if request.param == "memory":
        tables = MemoryRuns(clock, LEASE_S)
        return lambda: tables
    url = request.param(request)

    def open_tables() -> SqlTables:
        database = create_database(url)
        migrate(database, MIGRATIONS)
        request.addfinalizer(database.dispose)
        return SqlTables(database, clock)

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


def test_a_run_is_abandoned_when_its_lease_is_over_or_its_runner_is_known_to_be_dead(
    tables: Any, clock: FakeClock
) -> None:
    for name in ("a", "b", "c"):
        tables.add(queued_run(name))
    run = tables.claim("dead")
    tables.claim("alive")
    assert tables.interrupt_abandoned("the reason", nobody_is_dead) == []
    assert tables.interrupt_abandoned("the reason", lambda name: name == "dead") == ["a"]
    assert (tables.get("a").state, tables.get("a").reason) == ("interrupted", "the reason")
    assert tables.get("c").state == "queued"
    for change in (lambda: tables.save(run, "dead"), lambda: tables.renew("a", "dead")):
        with pytest.raises(ConflictError):
            change()
    clock.time += LEASE_S - 1
    tables.renew("b", "alive")
    clock.time += LEASE_S - 1
    tables.save(tables.get("b"), "alive")
    clock.time += LEASE_S - 1
    assert tables.interrupt_abandoned("again", nobody_is_dead) == []
    clock.time += 2
    assert tables.interrupt_abandoned("again", nobody_is_dead) == ["b"]


def test_an_abandoned_run_goes_on_by_itself_so_many_times(tables: Any, clock: FakeClock) -> None:
    tables.add(queued_run("a"))
    for resumed in (1, 2):
        run = tables.claim("dead")
        assert tables.interrupt_abandoned("it ended", nobody_is_dead, 2) == []
        clock.time += LEASE_S + 1
        assert tables.interrupt_abandoned("it ended", nobody_is_dead, 2) == ["a"]
        queued = tables.get("a")
        assert (queued.state, queued.resumed, queued.reason) == ("queued", resumed, None)
        with pytest.raises(ConflictError):
            tables.save(run, "dead")
    tables.claim("dead")
    clock.time += LEASE_S + 1
    assert tables.interrupt_abandoned("it ended", nobody_is_dead, 2) == ["a"]
    ended = tables.get("a")
    assert (ended.state, ended.resumed, ended.reason) == ("interrupted", 2, "it ended")
    assert tables.interrupt_abandoned("it ended", nobody_is_dead, 2) == []
    assert tables.claim("next") is None


def test_a_run_that_was_interrupted_goes_on_when_its_runner_is_gone(
    tables: Any, clock: FakeClock
) -> None:
    tables.add(queued_run("a"))
    run = tables.claim("ending")
    tables.save(run.model_copy(update={"state": "interrupted"}), "ending")
    assert tables.interrupt_abandoned("it ended", nobody_is_dead) == []
    # Its engine may not have closed yet.
    assert tables.interrupt_abandoned("it ended", nobody_is_dead, 9) == []
    assert tables.interrupt_abandoned("it ended", lambda name: name == "ending", 9) == ["a"]
    assert tables.claim("next").resumed == 1


def test_a_run_that_was_asked_to_stop_does_not_go_on_by_itself(
    tables: Any, clock: FakeClock
) -> None:
    tables.add(queued_run("a"))
    tables.claim("dead")
    tables.request_stop("a")
    clock.time += LEASE_S + 1
    assert tables.interrupt_abandoned("it ended", nobody_is_dead, 9) == ["a"]
    assert tables.get("a").state == "interrupted"
    assert tables.interrupt_abandoned("it ended", nobody_is_dead, 9) == []
    assert tables.resume("a", nobody_is_dead).state == "queued"


def test_an_abandoned_run_is_taken_up_by_one_runner_alone(
    tables: Any, reopen: Any, clock: FakeClock
) -> None:
    tables.add(queued_run("a"))
    first = tables.claim("one")
    with pytest.raises(ConflictError, match="under way"):
        tables.resume("a", nobody_is_dead)
    clock.time += LEASE_S + 1
    again = tables.resume("a", nobody_is_dead)
    assert (again.state, again.resumed, again.reason) == ("queued", 1, None)
    assert tables.resume("a", nobody_is_dead) == again
    claimed = [reopen().claim("two"), tables.claim("three")]
    assert [run and run.id for run in claimed] == ["a", None]
    for change in (
        lambda: tables.save(first, "one"),
        lambda: tables.add_individual("a", individual(1), "one"),
        lambda: tables.renew("a", "three"),
    ):
        with pytest.raises(ConflictError):
            change()
    assert tables.individuals("a") == []


@pytest.mark.parametrize("kind", database_urls)
def test_of_many_that_claim_or_take_a_run_at_once_one_gets_it(
    kind: Any, request: pytest.FixtureRequest, clock: FakeClock
) -> None:
    url = kind(request)
    databases = [create_database(url) for _ in range(6)]
    for database in databases:
        request.addfinalizer(database.dispose)
    migrate(databases[0], MIGRATIONS)
    tables = [SqlTables(database, clock) for database in databases]

    def at_once(ask: Callable[[SqlTables, str], Any]) -> list[Any]:
        together = threading.Barrier(len(tables))

        def work(number: int) -> Any:
            together.wait()
            return ask(tables[number], f"runner-{number}")

        with ThreadPoolExecutor(len(tables)) as pool:
            return [found for found in pool.map(work, range(len(tables))) if found]

    for number in range(5):
        tables[0].add(queued_run(f"r{number}"))
        (claimed,) = at_once(lambda mine, name: mine.claim(name))
        assert claimed.id == f"r{number}"
        clock.time += LEASE_S + 1
        left = at_once(lambda mine, _: mine.interrupt_abandoned("it ended", nobody_is_dead))
        assert left == [[claimed.id]]
        resumed = at_once(lambda mine, _, run=claimed.id: resume(mine, run))  # type: ignore[misc]
        assert {run.resumed for run in resumed} == {1}
        ((name, again),) = at_once(lambda mine, name: (run := mine.claim(name)) and (name, run))
        assert again.id == claimed.id
        tables[0].save(again.model_copy(update={"state": "complete"}), name)


def resume(tables: SqlTables, run: str) -> Any:
    """Resume a run, or return nothing where somebody else just did."""
    try:
        return tables.resume(run, nobody_is_dead)
    except ConflictError:
        return None


@pytest.mark.parametrize("state", ["complete", "stopped"])
def test_a_run_that_has_ended_well_is_not_taken_up_again(tables: Any, state: str) -> None:
    tables.add(queued_run("a"))
    run = tables.claim("one")
    tables.save(run.model_copy(update={"state": state}), "one")
    with pytest.raises(ConflictError, match=state):
        tables.resume("a", nobody_is_dead)
    with pytest.raises(NotFoundError):
        tables.resume("nothing", nobody_is_dead)


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_a_run_that_ended_too_early_is_taken_up_again_without_its_stop(
    tables: Any, state: str
) -> None:
    tables.add(queued_run("a"))
    run = tables.claim("one")
    tables.request_stop("a")
    tables.save(run.model_copy(update={"state": state}), "one")
    assert tables.resume("a", nobody_is_dead).state == "queued"
    assert not tables.stop_requested("a")


def test_individuals_come_back_in_order_with_their_evaluations(tables: Any, reopen: Any) -> None:
    tables.add(queued_run("a"))
    tables.claim("one")
    for number in (1, 2, 3):
        tables.add_individual("a", individual(number), "one")
    found = reopen().individuals("a")
    assert [each.number for each in found] == [1, 2, 3]
    assert found[0] == individual(1)
    assert [each.number for each in tables.individuals("a", after=2)] == [3]
    assert tables.individuals("a", 0, 2) == found[:2]
    assert tables.individuals("a", 1, 1) == found[1:2]
    assert tables.individuals("a", 3, 5) == []
    assert tables.individuals("b") == []


def finished(rung: str = "1", **values: Any) -> Evaluation:
    return Evaluation(
        rung=rung, state="finished", outcome="ok", accuracy=0.5, loss=1.0, weights="w", **values
    )


@pytest.fixture
def journal(tables: Any) -> Any:
    """Give the tables with one individual in a run of the runner `one`."""
    tables.add(queued_run("a"))
    tables.claim("one")
    tables.add_individual("a", individual(1), "one")
    return tables


def test_an_evaluation_replaces_what_was_known_of_its_rung(journal: Any) -> None:
    for _ in range(2):  # a repeated write changes nothing
        journal.put_evaluation("a", 1, finished(), "one")
    journal.put_evaluation("a", 1, Evaluation(rung="final"), "one")
    journal.put_evaluation("a", 1, Evaluation(rung="2"), "one")
    found = journal.individuals("a")[0]
    assert found.evaluations == [finished(), Evaluation(rung="2"), Evaluation(rung="final")]
    assert (found.state, found.fitness, found.outcome) == ("finished", 0.5, "ok")
    with pytest.raises(ConflictError):
        journal.put_evaluation("a", 1, Evaluation(rung="1"), "two")
    assert journal.individuals("a") == [found]


def test_histories_are_given_to_those_who_ask(journal: Any) -> None:
    history = [EpochReport(epoch=1, seconds=0.5, accuracy=0.25, loss=2.0)]
    journal.put_evaluation("a", 1, finished(history=history), "one")
    assert journal.individuals("a")[0].evaluations[0].history == []
    (told,) = journal.individuals("a", histories=True)
    assert told.evaluations[0].history == history


def test_a_latency_is_kept_with_its_processor(journal: Any) -> None:
    journal.put_latency("a", 1, 12.5, "a processor", "one")
    (found,) = journal.individuals("a")
    assert (found.latency_us, found.cpu) == (12.5, "a processor")
    assert found.evaluations == [Evaluation(rung="1")]
    with pytest.raises(ConflictError):
        journal.put_latency("a", 1, 1.0, "another", "two")


def test_a_training_is_found_by_its_key_in_every_run(journal: Any) -> None:
    history = [EpochReport(epoch=1, seconds=0.5, accuracy=0.25, loss=2.0)]
    assert journal.same_training("k") is None
    journal.put_evaluation("a", 1, Evaluation(rung="1", key="k"), "one")
    assert journal.same_training("k") is None
    journal.put_evaluation("a", 1, finished(key="k", stopped=True), "one")
    assert journal.same_training("k") is None
    journal.put_evaluation("a", 1, finished(key="k", history=history), "one")
    assert journal.same_training("k") == finished(key="k", history=history)


def test_a_training_whose_weights_are_gone_is_found_no_more(journal: Any) -> None:
    journal.put_evaluation("a", 1, finished(key="k"), "one")
    journal.add_individual("a", individual(2), "one")
    journal.put_evaluation("a", 2, finished(key="k", attempt=2), "one")
    journal.forget_blobs("a", 1, "1", ["weights"], "one")
    assert journal.same_training("k") == finished(key="k", attempt=2)
    journal.forget_blobs("a", 2, "1", ["weights"], "one")
    assert journal.same_training("k") is None


def test_blobs_that_are_gone_are_forgotten_one_by_one(journal: Any) -> None:
    history = [EpochReport(epoch=1, seconds=0.5, accuracy=0.25, loss=2.0)]
    journal.put_evaluation("a", 1, finished(checkpoint="c", history=history), "one")
    journal.put_evaluation("a", 1, finished("2"), "one")
    assert journal.users_of("w") == 2
    journal.forget_blobs("a", 1, "1", ["weights"], "one")
    assert journal.users_of("w") == 1
    first = journal.individuals("a", histories=True)[0].evaluations[0]
    assert (first.weights, first.checkpoint, first.history) == (None, "c", history)
    journal.forget_blobs("a", 1, "1", ["checkpoint"], "one")
    assert journal.individuals("a")[0].evaluations[0].checkpoint is None
    with pytest.raises(ConflictError):
        journal.forget_blobs("a", 1, "2", ["weights"], "two")


def test_a_genome_is_born_once_a_run(journal: Any) -> None:
    twin = individual(1).model_copy(update={"number": 2})
    with pytest.raises(ConflictError, match="twice"):
        journal.add_individual("a", twin, "one")
    assert [each.number for each in journal.individuals("a")] == [1]
    journal.add(queued_run("b"))
    journal.claim("one")
    journal.add_individual("b", individual(1), "one")


def test_an_older_journal_is_read_by_the_numbers_of_its_rungs(tmp_path: Path) -> None:
    database = create_database(sqlite_url(tmp_path / "evolver.sqlite3"))
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["version_table"] = version_table(database, MIGRATIONS)
    run = queued_run("a").model_dump_json()
    values = '{"rung":"search","state":"finished","outcome":"ok","accuracy":0.5,"loss":1.0}'
    with one_at_a_time(database) as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001")
        bare = individual(1).model_copy(update={"evaluations": []}).model_dump_json()
        for statement, row in (
            ("INSERT INTO run VALUES (1, 'a', 'complete', :value, 'one', 0)", {"value": run}),
            ("INSERT INTO individual VALUES ('a', 1, 'h', :value)", {"value": bare}),
            ("INSERT INTO evaluation VALUES ('a', 1, 'search', :value)", {"value": values}),
        ):
            connection.execute(sqlalchemy.text(statement), row)
    migrate(database, MIGRATIONS)
    (found,) = SqlJournal(database).individuals("a")
    assert (found.evaluations[0].rung, found.fitness) == ("1", 0.5)
    database.dispose()


def test_a_run_that_was_left_can_be_given_up_and_is_never_taken_up_again(tables: Any) -> None:
    tables.add(queued_run("a"))
    with pytest.raises(ConflictError, match="queued"):
        tables.give_up("a", "no use")
    run = tables.claim("one")
    with pytest.raises(ConflictError, match="running"):
        tables.give_up("a", "no use")
    tables.save(run.model_copy(update={"state": "failed", "reason": "broken"}), "one")
    given_up = tables.give_up("a", "no use")
    assert (given_up.state, given_up.reason) == ("stopped", "no use")
    assert tables.get("a") == given_up
    assert tables.give_up("a", "again") == given_up
    with pytest.raises(ConflictError):
        tables.resume("a", nobody_is_dead)
    with pytest.raises(NotFoundError):
        tables.give_up("nothing", "no use")


def test_what_trainings_left_is_forgotten_only_where_nobody_goes_on(tables: Any) -> None:
    history = [EpochReport(epoch=1, seconds=0.5, accuracy=0.25, loss=2.0)]
    for name in ("a", "b"):
        tables.add(queued_run(name))
        assert tables.claim("one").id == name
        known = Evaluation(
            rung="1", state="finished", outcome="ok", accuracy=0.5, loss=1.0, key=name,
            weights="shared", checkpoint=f"c-{name}", history=history,
        )  # fmt: skip
        row = individual(1).model_copy(update={"evaluations": [known]})
        tables.add_individual(name, row, "one")
    with pytest.raises(ConflictError, match="running"):
        tables.forget_all_blobs("a")
    tables.save(tables.get("a").model_copy(update={"state": "complete"}), "one")
    tables.forget_all_blobs("a")
    (left,) = tables.individuals("a", histories=True)[0].evaluations
    assert (left.weights, left.checkpoint, left.accuracy) == (None, None, 0.5)
    assert left.history == history
    assert tables.same_training("a") is None
    assert tables.same_training("b") is not None
    assert tables.users_of("shared") == 1
