"""Corrections from one service to the other, whichever of the processes is away or dies."""

import hashlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import sqlalchemy

import classification_service
from classification_service.adapters.history_schema import CORRECTION
from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.adapters.outbox_tables import SqlCorrectionTables
from classification_service.corrections import CorrectionDesk
from classification_service.history_ports import Record
from classification_service.recording import classified_blob, new_id
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate, sqlite_url, writing
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import Caller, SensoryClient
from commons.auth import CLASSIFICATION_SCOPES, generate_key, stored_key
from commons.messages import Category
from tests.builders import png_bytes
from tests.clusters import kill_group
from tests.dicebox_processes import until
from tests.servers import free_port

pytestmark = pytest.mark.e2e
MIGRATIONS = Path(classification_service.__file__).parent / "migrations"
FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"
KILLS = 50 if FULL else 3
WORKER = "classification_service.job_worker"


@dataclass
class Town:
    """Two services with a folder each; what the classification service recorded, and its worker."""

    folder: Path
    stack: ExitStack
    port: int = field(default_factory=free_port)
    key: str = field(default_factory=lambda: generate_key(secrets.token_bytes))

    def __post_init__(self) -> None:
        self.data = self.folder / "classification"
        self.data.mkdir()
        self.database = create_database(sqlite_url(self.data / "classification.sqlite3"))
        migrate(self.database, MIGRATIONS)
        self.corrections = SqlCorrectionTables(self.database)
        http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"})
        self.sensory = SensoryClient(Caller(self.stack.enter_context(http)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, module: str, data: Path, **environment: str) -> subprocess.Popen[bytes]:
        environ = os.environ | {"DICEBOX_DATA": str(data)} | environment
        process = subprocess.Popen(
            [sys.executable, "-m", module], env=environ, start_new_session=True
        )
        self.stack.callback(kill_group, process)
        return process

    def start_sensory(self) -> subprocess.Popen[bytes]:
        given = stored_key(self.key, "classification", CLASSIFICATION_SCOPES, 0.0)
        process = self.start(
            "sensory_service",
            self.folder / "sensory",
            DICEBOX_PORT=str(self.port),
            DICEBOX_KEYS="required",
            DICEBOX_GIVEN_KEYS=json.dumps([given.model_dump(mode="json")]),
        )
        until(self._answers)
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self.start(WORKER, self.data, DICEBOX_SENSORY_URL=self.url, DICEBOX_KEY=self.key)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/sensory/v1/readyz").is_success
        except httpx.TransportError:
            return False

    def correct(self, number: int) -> list[str]:
        """Record that many classifications and correct each; return their images."""
        blobs, desk = (
            FileBlobs(self.data / "blobs"),
            CorrectionDesk(self.corrections, SystemClock()),
        )
        images = []
        for seed in range(number):
            data, name = png_bytes(seed=seed), new_id(time.time())
            images.append(hashlib.sha256(data).hexdigest())
            blobs.put(classified_blob(images[-1]), data)
            answers = [(Category(id="c", name="cat"), 1.0)]
            record = Record(
                name, images[-1], "pets", "a" * 64, answers, 1.0, 0.0, 0.001, time.time()
            )
            SqlHistoryTables(self.database).add([record])
            desk.correct(name, "dog", "ada")
        return images

    def let_go(self) -> None:
        """Have the time pass for which a sender has what it took, and that until the next try."""
        with writing(self.database) as connection:
            late = CORRECTION.c.state == "waiting"
            connection.execute(sqlalchemy.update(CORRECTION).where(late).values(due=0.0))

    def check_that_each_arrived_once(self, images: list[str]) -> None:
        assert self.sensory.dataset("pets").images == len(images)
        for image in images:
            events = self.sensory.history("pets", image).events
            said = [(one.kind, one.category and one.category.name, one.who) for one in events]
            assert said == [("labeled", "dog", "ada via classification")]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path, stack)


def test_corrections_arrive_once_although_the_sensory_service_was_away(
    town: Town, tell: Callable[[str], None]
) -> None:
    worker = town.start_worker()
    images = town.correct(20)
    until(lambda: attempts(town) >= 2)
    assert town.corrections.waiting() == 20
    sensory = town.start_sensory()
    until(lambda: town.corrections.waiting() < 20, 60.0)
    # In the middle of it, once more.
    os.killpg(sensory.pid, signal.SIGKILL)
    sensory.wait()
    town.start_sensory()
    town.let_go()
    until(lambda: town.corrections.waiting() == 0, 60.0)
    town.check_that_each_arrived_once(images)
    assert worker.poll() is None
    tell(f"{len(images)} corrections while the sensory service was away, each arrived once")


def test_corrections_arrive_once_although_their_sender_is_killed_again_and_again(
    town: Town, tell: Callable[[str], None]
) -> None:
    town.start_sensory()
    images = town.correct(20 * KILLS)
    draw = random.Random(5)
    for left in range(KILLS, 0, -1):
        town.let_go()
        worker = town.start_worker()
        # Some of them arrive, and then it dies at any point of the next.
        goal = len(images) * left // (KILLS + 1)
        until(lambda goal=goal: town.corrections.waiting() <= goal)
        time.sleep(draw.uniform(0.0, 0.01))
        worker.kill()
        worker.wait()
    assert town.corrections.waiting() > 0
    town.let_go()
    town.start_worker()
    until(lambda: town.corrections.waiting() == 0)
    town.check_that_each_arrived_once(images)
    tell(f"{len(images)} corrections, {KILLS} kills of their sender, each arrived once")


def attempts(town: Town) -> int:
    with town.database.connect() as connection:
        total = sqlalchemy.select(sqlalchemy.func.sum(CORRECTION.c.attempts))
        return int(connection.execute(total).scalar_one())
