"""Jobs with workers as processes: killed, told to end, and started by the command itself."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from classification_service.app import Settings
from commons.adapters.file_blobs import FileBlobs
from dicebox.connect import Place, connect
from tests.builders import png_bytes
from tests.dicebox_processes import Dicebox
from tests.job_processes import IMAGES, JobHouse, check_that_kills_cost_nothing, opened_job_house
from tests.onnx_builders import always, network_card

pytestmark = pytest.mark.e2e
KILLS = 20 if os.environ.get("DICEBOX_CAMPAIGN") == "full" else 2


@pytest.fixture
def house(tmp_path: Path) -> Iterator[JobHouse]:
    with opened_job_house(Settings(data=tmp_path)) as house:
        yield house


def test_workers_that_are_killed_in_the_middle_of_a_job_cost_nothing(
    house: JobHouse, tell: Callable[[str], None]
) -> None:
    check_that_kills_cost_nothing(house, KILLS, tell)


def test_a_worker_that_is_told_to_end_does_so_promptly_and_leaves_its_part_to_the_next(
    house: JobHouse,
) -> None:
    job = house.made(IMAGES, house.publish())
    worker = house.start_worker(DICEBOX_JOB_LEASE_S="3600")
    house.wait_for(job.id, lambda now: now.done > 0)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert time.monotonic() - began < 5.0
    assert house.jobs.job(job.id).finished is None
    house.start_worker(DICEBOX_JOB_LEASE_S="3600")
    house.wait_for(job.id, lambda now: now.finished is not None)
    assert (house.jobs.job(job.id).state, house.jobs.job(job.id).done) == ("done", IMAGES)
    assert "Traceback" not in house.log()


def test_the_command_has_a_job_done_where_no_house_runs_and_leaves_no_process(
    dicebox: Dicebox, tmp_path: Path
) -> None:
    card = network_card(FileBlobs(dicebox.data / "blobs"), always(1))
    with connect(Place(dicebox.data)) as client:
        network = client.gallery.register(card)
        client.gallery.promote("digits", network)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(100):
        (folder / f"{seed}.png").write_bytes(png_bytes(seed=seed))
    (folder / "bad.png").write_bytes(b"no picture")
    end = dicebox.run("jobs", "submit", folder, "--json")
    assert (end.code, end.err.split()[0]) == (1, "job"), end.err  # for one of them failed
    job = end.json["job"]
    assert (job["state"], job["images"], job["done"], job["failed"]) == ("done", 101, 100, 1)
    table = dicebox.run("jobs", "results", job["id"], "--csv")
    assert table.out.count(",bright,c1,") == 100
    assert dicebox.left_nothing()
