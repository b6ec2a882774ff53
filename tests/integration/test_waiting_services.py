"""Every service as a process, while its database is not there yet, away, or silent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy

from commons.adapters.shared_folder import SENTINEL, prepare
from evolver.app import Settings, create_app
from tests.dicebox_processes import until
from tests.servers import Postgres, Rabbit, free_port, kill_group, started_postgres

pytestmark = pytest.mark.integration

PATHS = {
    "sensory_service": "/api/sensory/v1",
    "evolver.web": "/api/evolution/v1",
    "classification_service": "/api/classification/v1",
}
# With a table that each of them makes.
WORKERS = {
    "sensory_service.batch_processor": "dataset",
    "classification_service.job_worker": "network",
    "evolver": "run",
}
# What a check of readiness may take, the patience with a part that hangs included.
ANSWER_S = 4.0


@dataclass
class Services:
    """Processes over one database and one folder of blobs."""

    folder: Path
    environ: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    def start(self, module: str, **settings: str) -> None:
        port = free_port()
        told = {"DATA": str(self.folder / module), "PORT": str(port), **settings}
        with (self.folder / f"{module}.log").open("wb") as log:
            self.processes[module] = subprocess.Popen(
                [sys.executable, "-m", module],
                env={**os.environ, **self.environ}
                | {f"DICEBOX_{name}": value for name, value in told.items()},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if module in PATHS:
            self.urls[module] = f"http://127.0.0.1:{port}{PATHS[module]}"

    def lives(self, module: str) -> bool:
        log = (self.folder / f"{module}.log").read_text()
        assert self.processes[module].poll() is None, log
        try:
            return httpx.get(f"{self.urls[module]}/healthz").is_success
        except httpx.TransportError:
            return False

    def missing(self, module: str) -> dict[str, str]:
        began = time.monotonic()
        reply = httpx.get(f"{self.urls[module]}/readyz", timeout=20.0)
        assert time.monotonic() - began < ANSWER_S
        said: dict[str, str] = reply.json()["missing"]
        assert reply.status_code == (503 if said else 200)
        return said

    def are_ready(self) -> bool:
        return not any(self.missing(module) for module in self.urls)

    def end(self) -> None:
        for process in self.processes.values():
            kill_group(process)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """Give a database that no other test uses: it is killed, and started again."""
    with started_postgres() as server:
        yield server


@pytest.fixture
def services(tmp_path: Path, postgres: Postgres) -> Iterator[Services]:
    prepare(tmp_path / "blobs")
    environ = {
        "DICEBOX_DATABASE_URL": postgres.new_database(),
        "DICEBOX_REPLICAS": "2",
        "DICEBOX_BLOBS_URL": f"{(tmp_path / 'blobs').as_uri()}?sentinel={SENTINEL}",
    }
    found = Services(tmp_path, environ)
    yield found
    found.end()


def suspended(server: Postgres) -> ExitStack:
    """Have a database hold still until the block ends: it takes connections, and says nothing."""
    stack = ExitStack()
    parent = psutil.Process(server._processes[-1].pid)
    for process in (parent, *parent.children(recursive=True)):
        process.suspend()
        stack.callback(process.resume)
    return stack


def test_services_wait_for_their_database_and_stay_when_it_goes_away(
    services: Services, postgres: Postgres, tell: Callable[[str], None]
) -> None:
    postgres.kill()
    for module in PATHS:
        services.start(module)
    until(lambda: all(services.lives(module) for module in PATHS), 60.0)
    for module, url in services.urls.items():
        missing = services.missing(module)
        assert list(missing) == ["start"]
        assert "the database failed" in missing["start"]
        refused = httpx.post(f"{url}/classify", content=b"x")
        assert (refused.status_code, refused.json()["type"]) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
    began = time.monotonic()
    postgres.start()
    until(services.are_ready, 45.0)
    tell(f"ready {time.monotonic() - began:.1f} s after the database, which was long away")
    asked = httpx.post(f"{services.urls['classification_service']}/classify", content=b"x")
    assert (asked.status_code, asked.json()["type"]) == (409, "no-network")
    assert httpx.get(f"{services.urls['evolver.web']}/runs").json() == {"runs": []}
    with suspended(postgres):
        for module in PATHS:
            assert services.missing(module)["tables"].startswith("no answer for ")
            assert services.lives(module)
    until(services.are_ready)
    postgres.kill()
    for module in PATHS:
        assert "the database failed" in services.missing(module)["tables"]
        assert services.lives(module)
    postgres.start()
    until(services.are_ready)
    for module, process in services.processes.items():
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, (services.folder / f"{module}.log").read_text()


def test_workers_wait_for_their_database_and_show_that_they_live(
    services: Services, postgres: Postgres
) -> None:
    postgres.kill()
    files = {module: services.folder / f"{module}.alive" for module in WORKERS}
    for module, file in files.items():
        services.start(module, ALIVE_FILE=str(file))
    logs = {module: services.folder / f"{module}.log" for module in WORKERS}
    words = "cannot begin yet: the database failed"
    until(lambda: all(words in log.read_text() for log in logs.values()), 60.0)
    assert not any(file.exists() for file in files.values())
    postgres.start()
    url = services.environ["DICEBOX_DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
    engine = sqlalchemy.create_engine(url)
    for table in WORKERS.values():
        until(lambda table=table: sqlalchemy.inspect(engine).has_table(table), 45.0)  # type: ignore[misc]
    engine.dispose()
    for module, process in services.processes.items():
        file = files[module]
        until(file.exists)
        before = file.stat().st_mtime
        until(lambda file=file, before=before: file.stat().st_mtime > before)  # type: ignore[misc]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, logs[module].read_text()


def test_an_evolver_for_a_fleet_says_whether_its_broker_is_there(
    tmp_path: Path, rabbit: Rabbit
) -> None:
    for broker_url, missing in (
        (rabbit.url, []),
        ("amqp://guest:guest@127.0.0.1:1/%2F", ["queue"]),
    ):
        settings = Settings(data=tmp_path, engine="celery", broker_url=broker_url)
        transport = httpx.WSGITransport(create_app(settings))
        with httpx.Client(transport=transport, base_url="http://localhost") as http:
            reply = http.get(f"{PATHS['evolver.web']}/readyz")
        assert list(reply.json()["missing"]) == missing
