"""A house whose trainings go to workers elsewhere: what the command and the page show of them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from werkzeug.serving import make_server

import evolver.app
from commons.worker_messages import Trainer, WorkerPage, WorkerSlot
from dicebox.front import create_front
from tests.dicebox_processes import Dicebox, ended, until
from tests.servers import started_rabbit
from tests.web_house import ARTIFACTS

pytestmark = pytest.mark.e2e

FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"


def started_worker(box: Dicebox, folder: Path, broker: Path, slots: int) -> subprocess.Popen[str]:
    """Start a worker as a person does on another machine."""
    return subprocess.Popen(
        [sys.executable, "-m", "trainer.worker"],
        env={
            **os.environ,
            "DICEBOX_TEST": box.mark,
            "BROKER_URL_FILE": str(broker),
            "BLOBS_URL": str(box.data.absolute() / "blobs"),
            "DICEBOX_DATA": str(folder),
            "DICEBOX_SLOTS": str(slots),
            "DICEBOX_KIND": "cpu",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def worker(box: Dicebox, folder: Path, broker: Path, slots: int) -> Iterator[subprocess.Popen[str]]:
    """Start a worker, and end it kindly."""
    process = started_worker(box, folder, broker, slots)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30.0) == 0, process.stderr.read() if process.stderr else ""
    finally:
        process.kill()
        process.communicate()


def listed(box: Dicebox) -> list[Trainer]:
    end = box.run("workers", "--json")
    assert end.code == 0, end.err
    page = WorkerPage.model_validate(end.json)
    assert page.engine == "celery"
    return page.workers


def busy(workers: list[Trainer]) -> list[str]:
    return [slot.job for each in workers for slot in each.slots if slot.job is not None]


def jobs_of(box: Dicebox, process: "subprocess.Popen[str]") -> list[str]:
    """Return what a worker trains now."""
    return busy([each for each in listed(box) if each.name.endswith(f"-{process.pid}")])


def test_a_run_is_trained_by_workers_that_the_command_lists(
    box: Dicebox, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    candidates, others = (12, 1) if FULL else (4, 0)
    broker = tmp_path / "broker-url"
    with started_rabbit() as rabbit:
        broker.write_text(rabbit.url, encoding="ascii")
        house = box.start("up", "--port", 0, "--engine", "celery", BROKER_URL_FILE=str(broker))
        assert house.stdout is not None
        assert "serves" in house.stdout.readline()
        assert "trains nothing itself" in house.stdout.readline()
        assert listed(box) == []
        run = box.start(
            *("evolve", "--dataset", "photos", "--evaluations", candidates, "--workers", 2),
            "--json",
        )
        until(lambda: "waits for trainers" in box.run("runs", "--json").out)
        began = time.monotonic()
        with worker(box, tmp_path / "far", broker, 1):
            until(lambda: len(listed(box)) == 1)
            tell(f"a worker is listed {time.monotonic() - began:.1f} s after its start")
            doomed = started_worker(box, tmp_path / "doomed", broker, 1)
            until(lambda: len(busy(listed(box))) == 2, 60.0)
            assert {job.split("/")[0] for job in busy(listed(box))} == {run_of(box)}
            (cut_short,) = jobs_of(box, doomed)
            os.killpg(doomed.pid, signal.SIGKILL)
            doomed.communicate()
            tell(f"killed a worker that trained {cut_short}")
            until(lambda: len(listed(box)) == 1)
            for number in range(others):
                with worker(box, tmp_path / f"other-{number}", broker, 1):
                    until(lambda: len(listed(box)) == 2)
            end = ended(run, 240.0)
            assert end.code == 0, end.err
            assert end.json["state"] == "complete"
            assert end.json["progress"]["evaluated"] == candidates
            assert end.json["network"]
            until(lambda: not busy(listed(box)))
            # Candidates, those trained longer, and the export.
            assert listed(box)[0].done > candidates
        until(lambda: listed(box) == [])
        house.send_signal(signal.SIGTERM)
        ended(house)
    assert box.left_nothing()
    blobs = box.data / "blobs"
    assert list((blobs / "results").rglob("*.json")) == []
    assert list((blobs / "checkpoints").rglob("*.npz")) == []


def run_of(box: Dicebox) -> str:
    return str(box.run("runs", "--json").json["runs"][0]["id"])


def test_the_page_lists_a_fleet_beneath_the_run(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = [WorkerSlot(number=1, job="r1/4/2", since=time.time() - 70.0), WorkerSlot(number=2)]
    one = Trainer(
        name="far-17",
        machine="far",
        kind="gpu",
        slots=slots,
        done=12,
        failed=2,
        per_minute=3.25,
        last_failure="diverged: <b>it did</b>",
    )
    page_of_all = WorkerPage(engine="celery", workers=[one], ready={"dicebox.jobs.gpu": 7})
    monkeypatch.setattr(evolver.app, "_asking", lambda _: lambda: page_of_all)
    with served(create_front(tmp_path, watch=False)) as url:
        context = browser.new_context(viewport={"width": 1200, "height": 860})
        page = context.new_page()
        page.goto(f"{url}/#evolve")
        table = page.locator("#trainers")
        expect(table.locator("tbody tr")).to_have_count(1)
        expect(table.locator("tbody tr")).to_contain_text("far-17")
        expect(table.locator("tbody tr")).to_contain_text("1/2")
        expect(table.locator("tbody tr")).to_contain_text("r1/4/2 for 1 min")
        expect(table.locator("tbody tr")).to_contain_text("diverged: <b>it did</b>")
        expect(table).to_contain_text("7 jobs waiting")
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / "workers.png", full_page=True)
        # No wider than the screen of a telephone: the table scrolls by itself.
        page.set_viewport_size({"width": 360, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        context.close()


def test_the_page_of_a_house_without_a_fleet_shows_no_table(
    browser: Browser, tmp_path: Path
) -> None:
    with served(create_front(tmp_path, watch=False)) as url:
        context = browser.new_context()
        page = context.new_page()
        with page.expect_response("**/evolution/v1/workers"):
            page.goto(f"{url}/#evolve")
        expect(page.locator("#trainers")).to_be_hidden()
        context.close()


@contextmanager
def served(app: Callable[..., object]) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
