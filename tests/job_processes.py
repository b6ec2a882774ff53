"""A job with its workers as processes of their own, for tests in which they die."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import sqlalchemy

from classification_service.adapters.job_schema import ANSWER
from classification_service.app import Settings
from commons.adapters.database import create_database, reading, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.job_client import JobClient
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from commons.job_messages import ClassificationJob
from tests.builders import encoded, picture
from tests.clusters import kill_group
from tests.onnx_builders import network_card, onnx_bytes
from tests.servers import free_port

SHAPE = (512, 512, 3)  # some milliseconds an image
IMAGES = 150
_LONGEST_S = 90.0


@dataclass
class JobHouse:
    """The service as a process, and workers beside it."""

    settings: Settings
    jobs: JobClient
    gallery: GalleryClient
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        return self.start("classification_service.job_worker", **environment)

    def start(self, module: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process of the service; who kills it kills its group with `kill_group`."""
        settings = self.settings
        environ = {
            "DICEBOX_DATA": str(settings.data),
            "DICEBOX_DATABASE_URL": settings.database_url or "",
            "DICEBOX_BROKER_URL": settings.broker_url or "",
            **environment,
        }
        with (settings.data / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                env={**os.environ, **environ},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def publish(self, *, created: float = 1.0) -> str:
        """Register a network whose input is large, and return its id."""
        onnx = onnx_bytes(SHAPE)
        blobs = FileBlobs(self.settings.data / "blobs")
        card = network_card(blobs, onnx, created=created)
        how = card.preprocessing.model_copy(update={"shape": SHAPE})
        return self.gallery.register(card.model_copy(update={"preprocessing": how}))

    def made(self, images: int, *networks: str) -> ClassificationJob:
        """Return a job of so many different images, closed."""
        job = self.jobs.make(networks)
        for start in range(0, images, 200):
            numbers = range(start, min(images, start + 200))
            self.jobs.add(job.id, [(f"{number}", _image(number)) for number in numbers])
        return self.jobs.close(job.id)

    def wait_for(self, job: str, condition: Callable[[ClassificationJob], bool]) -> None:
        """Return once something holds for a job."""
        deadline = time.monotonic() + _LONGEST_S
        while not condition(now := self.jobs.job(job)):
            assert time.monotonic() < deadline, (now, self.log())
            assert now.state != "failed", (now, self.log())
            time.sleep(0.02)

    def kept(self) -> dict[tuple[str, str], float]:
        """Return every (image, network) of which is known what is said, and since when."""
        settings = self.settings
        file = sqlite_url(settings.data / "classification.sqlite3")
        database = create_database(settings.database_url or file)
        with reading(database) as connection:
            query = sqlalchemy.select(ANSWER).where(ANSWER.c.said.is_not(None))
            rows = connection.execute(query).all()
        database.dispose()
        return {(row.image, row.network): row.said for row in rows}

    def log(self) -> str:
        return (self.settings.data / "processes.log").read_text(errors="replace")[-4000:]


@contextmanager
def opened_job_house(settings: Settings) -> Iterator[JobHouse]:
    port = free_port()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30.0) as http:
        caller = Caller(http)
        house = JobHouse(settings, JobClient(caller), GalleryClient(caller))
        try:
            one = {"DICEBOX_PORT": str(port), "DICEBOX_SERVER_PROCESSES": "1"}
            house.start("classification_service", **one)
            caller.call("GET", f"{CLASSIFICATION}/readyz")
            yield house
        finally:
            for process in house.processes:
                kill_group(process)


def check_that_kills_cost_nothing(
    house: JobHouse,
    kills: int,
    tell: Callable[[str], None],
    *,
    at_once: int = 1,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Kill workers in the middle of a job; all of it is done, and nothing that was kept again.

    In the end so many work on what is left at once, while something happens to them.
    """
    networks = [house.publish(), house.publish(created=2.0)]
    job = house.made(IMAGES, *networks)
    kept: dict[tuple[str, str], float] = {}
    for number in range(kills):
        before = house.jobs.job(job.id).done
        worker = house.start_worker(DICEBOX_JOB_LEASE_S="1")
        house.wait_for(job.id, lambda now, before=before: now.done > before)
        worker.kill()
        worker.wait()
        found = house.kept()
        assert {pair: found[pair] for pair in kept} == kept
        kept = found
        assert house.jobs.job(job.id).finished is None, number
    for _ in range(at_once):
        house.start_worker(DICEBOX_JOB_LEASE_S="1")
    before = house.jobs.job(job.id).done
    house.wait_for(job.id, lambda now: now.done > before)
    meanwhile()
    house.wait_for(job.id, lambda now: now.finished is not None)
    ended = house.jobs.job(job.id)
    assert (ended.state, ended.done, ended.failed) == ("done", 2 * IMAGES, 0)
    found = house.kept()
    assert {pair: found[pair] for pair in kept} == kept
    assert len(found) == 2 * IMAGES
    answers = list(house.jobs.results(job.id))
    assert {(one.image, one.network) for one in answers} == set(found)
    assert all(len(one.answers) == 2 for one in answers)
    tell(
        f"workers killed {kills} times, all {len(found)} answers given, {len(kept)} of them kept "
        "at the last kill"
    )


def _image(number: int) -> bytes:
    drawn = picture((64, 64, 3))
    drawn.paste((number % 256, number // 256, 0), (0, 0, 32, 32))
    return encoded(drawn)
