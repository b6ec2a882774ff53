from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.services import Caller, EvolutionClient
from commons.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from commons.messages import Evaluation, Individual, Run, RunRequest
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.run_table import SqlRuns
from evolver.app import Settings, create_app
from evolver.routes import PREFIX
from evolver.runs import Runs
from evolver.watching import Watching
from tests.evolver_builders import (
    FakeClock,
    MemoryRuns,
    Stage,
    individual,
    nobody_is_dead,
    queued_run,
    request,
)
from tests.memory_blobs import MemoryBlobs


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    app = create_app(Settings(data=tmp_path))
    with httpx.Client(
        transport=httpx.WSGITransport(app=app), base_url="http://localhost"
    ) as client:
        yield client


@pytest.fixture
def client(http: httpx.Client) -> EvolutionClient:
    return EvolutionClient(Caller(http, patience_s=0.1))


def test_a_run_that_is_started_is_queued_and_can_be_found(client: EvolutionClient) -> None:
    first = client.start(request(seconds=30, shape=(8, 8, 1)))
    second = client.start(request())
    assert first.state == "queued"
    assert first.request.seconds == 30
    assert client.run(first.id) == first
    assert [run.id for run in client.runs()] == [second.id, first.id]
    assert client.individuals(first.id) == []


def test_seconds_that_are_null_are_no_default_and_need_another_end(
    client: EvolutionClient, http: httpx.Client
) -> None:
    assert client.start(request(seconds=None, evaluations=3)).request.seconds is None
    reply = http.post(f"{PREFIX}/runs", json={"dataset": "digits", "seconds": None})
    assert reply.status_code == 400
    assert reply.json()["detail"].startswith("a run needs an end")


def test_a_queued_run_can_be_stopped_twice(client: EvolutionClient) -> None:
    run = client.start(request())
    assert client.stop(run.id).state == "stopped"
    assert client.stop(run.id).state == "stopped"


def test_a_run_that_is_not_there_is_404(client: EvolutionClient, http: httpx.Client) -> None:
    for ask in (client.run, client.individuals, client.stop):
        with pytest.raises(NotFoundError, match="no run nothing"):
            ask("nothing")
    reply = http.get(f"{PREFIX}/runs/nothing")
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dataset": "../../etc"},
        {"dataset": "digits", "seconds": 0},
        {"dataset": "digits", "secnods": 60},
        {"dataset": "digits", "shape": [8, 8, 2]},
        {"dataset": "digits", "strategy": "prayer"},
    ],
)
def test_a_bad_request_is_400_with_its_fault(http: httpx.Client, body: dict) -> None:
    reply = http.post(f"{PREFIX}/runs", json=body)
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert http.get(f"{PREFIX}/runs").json() == {"runs": []}


def test_a_taxonomy_that_is_wrong_is_refused_before_the_run_is_queued(
    client: EvolutionClient,
) -> None:
    with pytest.raises(InvalidInputError, match="heads") as caught:
        client.start(RunRequest(dataset="digits", taxonomy={"heads": []}))
    assert caught.value.kind == "taxonomy"
    assert client.runs() == []


def test_the_service_is_ready_and_documents_itself(http: httpx.Client) -> None:
    assert http.get(f"{PREFIX}/readyz").status_code == 200
    assert http.get(f"{PREFIX}/healthz").status_code == 200
    paths = http.get(f"{PREFIX}/openapi.json").json()["paths"]
    assert f"{PREFIX}/runs/{{run}}/stop" in paths


def test_tables_that_cannot_be_reached_are_503(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database_url=f"sqlite:///{tmp_path}/missing/x.sqlite3")
    with pytest.raises(UnavailableError):
        create_app(settings)


@pytest.fixture
def ended(http: httpx.Client, tmp_path: Path) -> Iterator[Run]:
    """Give a run of three individuals, each the child of the one before, in the service's tables.

    It was interrupted; the second is the most accurate, the third the smallest.
    """
    database = create_database(sqlite_url(tmp_path / "evolver.sqlite3"))
    runs, journal = SqlRuns(database, SystemClock()), SqlJournal(database)
    runs.add(queued_run("r9", objectives=["accuracy", "parameters"]))
    run = runs.claim("one")
    assert run is not None
    for number, accuracy in enumerate((0.7, 0.9, 0.8), 1):
        evaluation = Evaluation(
            rung="1", state="finished", outcome="ok", accuracy=accuracy, loss=0.5, ended=number
        )
        update = {
            "parents": [number - 1] if number > 1 else [],
            "parameters": 100 - number,
            "evaluations": [evaluation],
        }
        journal.add_individual("r9", individual(number).model_copy(update=update), "one")
    progress = run.progress.model_copy(update={"best_individual": 2})
    run = run.model_copy(update={"state": "interrupted", "progress": progress})
    runs.save(run, "one")
    yield run
    database.dispose()


def numbers(individuals: list[Individual]) -> list[int]:
    return [each.number for each in individuals]


def test_a_lineage_a_front_and_the_champion_can_be_asked_for(
    client: EvolutionClient, ended: Run
) -> None:
    assert numbers(client.lineage("r9", 3)) == [1, 2, 3]
    assert numbers(client.lineage("r9", 1)) == [1]
    assert numbers(client.front("r9")) == [2, 3]
    assert client.champion("r9").number == 2
    assert client.champion("r9", max_parameters=97).number == 3
    assert client.champion("r9", max_parameters=98).number == 2
    assert client.run("r9") == ended


def test_what_a_run_does_not_have_is_404(client: EvolutionClient, ended: Run) -> None:
    with pytest.raises(NotFoundError, match="no individual 4"):
        client.lineage("r9", 4)
    queued = client.start(request())
    with pytest.raises(NotFoundError, match="no champion"):
        client.champion(queued.id)
    with pytest.raises(NotFoundError, match=r"at most 9 parameters \(the smallest has 97\)"):
        client.champion("r9", max_parameters=9)
    with pytest.raises(NotFoundError, match="none was measured"):
        client.champion("r9", max_latency_us=9.0)
    with pytest.raises(NotFoundError, match="no network that was trained in the run"):
        client.champion(queued.id, max_parameters=9)
    for ask in (client.front, client.champion, client.resume):
        with pytest.raises(NotFoundError, match="no run nothing"):
            ask("nothing")


def test_a_run_that_was_left_is_queued_again_and_one_that_has_ended_is_not(
    client: EvolutionClient, ended: Run
) -> None:
    assert (client.resume("r9").state, client.resume("r9").resumed) == ("queued", 1)
    stopped = client.stop(client.start(request()).id)
    with pytest.raises(ConflictError, match="stopped"):
        client.resume(stopped.id)


def test_genomes_to_start_with_that_are_none_are_refused_before_the_run_is_queued(
    client: EvolutionClient,
) -> None:
    with pytest.raises(InvalidInputError, match="genome 2 to start with"):
        client.start(request(start=[{}, {"head": "hat"}]))
    assert client.runs() == []


def test_events_tell_what_ended_and_how_far_a_run_is(http: httpx.Client, ended: Run) -> None:
    reply = http.get(f"{PREFIX}/runs/r9/events")
    assert reply.headers["content-type"].startswith("text/event-stream")
    kinds = [line for line in reply.text.splitlines() if line.startswith("event:")]
    assert kinds == ["event: training"] * 3 + ["event: run"]
    later = http.get(f"{PREFIX}/runs/r9/events", headers={"Last-Event-ID": "2.0"})
    assert later.text.count("event: training") == 1
    assert '"number":3' in later.text
    assert http.get(f"{PREFIX}/runs/nothing/events").status_code == 404


def test_as_many_watch_at_once_as_there_are_slots_and_each_gives_its_own_back(
    tmp_path: Path,
) -> None:
    app = create_app(Settings(data=tmp_path, watching_slots=2))
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://localhost") as http:
        run = EvolutionClient(Caller(http)).start(request())
        address = f"{PREFIX}/runs/{run.id}/events"
        with http.stream("GET", address) as first, http.stream("GET", address) as second:
            third = http.get(address)
            assert (third.status_code, third.headers["retry-after"]) == (204, "2")
            assert first.status_code == second.status_code == 200
        with http.stream("GET", address) as again:
            assert again.status_code == 200


def test_a_watcher_is_told_every_change_beats_in_between_and_let_go_after_a_while() -> None:
    clock, tables = FakeClock(), MemoryRuns()
    tables.clock = clock
    runs = Runs(tables, tables, clock, lambda: "r1", nobody_is_dead, MemoryBlobs())
    tables.add(queued_run("r1"))
    watching = Watching(runs, clock, slots=1, longest_s=20.0)
    happenings = watching.watch("r1", 0.0)
    assert next(happenings).message == tables.get("r1")
    assert next(happenings).kind is None
    run = tables.claim("one")
    assert next(happenings).message == run
    assert [each.kind for each in happenings] == [None] * 2
    assert clock.time < 1000 + 22


def test_a_whole_run_is_told_from_its_first_training_to_its_end() -> None:
    stage = Stage()
    run = stage.evolve(seconds=30)
    runs = Runs(
        stage.tables, stage.tables, stage.clock, lambda: "r2", nobody_is_dead, MemoryBlobs()
    )
    told = list(Watching(runs, stage.clock, slots=1, longest_s=20.0).watch("r1", 0.0))
    trainings = sum(len(each.evaluations) for each in stage.tables.individuals("r1"))
    assert [each.kind for each in told] == ["training"] * trainings + ["run"]
    assert told[-1].message == run


def test_the_journal_can_be_read_in_parts(
    http: httpx.Client, client: EvolutionClient, ended: Run
) -> None:
    path = f"{PREFIX}/runs/r9/individuals"
    found: list[Individual] = []
    while True:
        after = found[-1].number if found else 0
        reply = http.get(path, params={"after": after, "limit": 2}).json()["individuals"]
        found += [Individual.model_validate(each) for each in reply]
        if len(reply) < 2:
            break
    assert found == client.individuals("r9")
    for wrong in ("0", "1001", "few"):
        assert http.get(path, params={"limit": wrong}).status_code == 400
