from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from commons.adapters.services import Caller, EvolutionClient
from commons.errors import InvalidInputError, NotFoundError, UnavailableError
from commons.messages import RunRequest
from evolver.app import Settings, create_app
from evolver.routes import PREFIX
from tests.evolver_builders import request


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
