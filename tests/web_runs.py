"""Runs for the page to watch: trainings are made up and take milliseconds, the rest is real."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from commons.adapters.file_blobs import FileBlobs
from commons.jobs import JobResult, JobSpec
from commons.messages import Run
from tests.evolver_builders import FakeEngine, queued_run
from tests.quick_runner import TickingClock, drive_one, tables
from tests.web_house import Front, opened


def some_fail(spec: JobSpec) -> JobResult | None:
    """Let every seventh candidate fail."""
    number = spec.id.split("/")[-2]
    if number.isdigit() and int(number) % 7 == 3:
        return JobResult(id=spec.id, outcome="diverged", reason="loss nan <b>at once</b>")
    return None


def drive(data: Path, name: str = "one", *, epoch_s: float = 0.001, **engine: Any) -> None:
    """Drive the run that waits to its end."""
    clock, blobs = TickingClock(), FileBlobs(data / "blobs")

    @contextmanager
    def open_engine(workers: int) -> Iterator[FakeEngine]:
        yield FakeEngine(
            clock, blobs, workers, start_s=0.0, overhead_s=0.001, export_s=0.01,
            epoch_s=epoch_s, **engine,
        )  # fmt: skip

    drive_one(data, name, clock, open_engine)


@contextmanager
def driven(data: Path, **how: Any) -> Iterator[None]:
    """Drive the run that waits while the block goes on, and wait for its end after it."""
    thread = threading.Thread(target=drive, args=(data,), kwargs=how)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)


def queue(data: Path, name: str, **values: object) -> None:
    table, _ = tables(data)
    run = queued_run(name, **{"seconds": None, "evaluations": 40, "snapshot": "a" * 64, **values})
    table.add(run)


@contextmanager
def watching(browser: Browser, front: Front, place: str = "", **how: Any) -> Iterator[Page]:
    """Open Evolve, or a place in it."""
    with opened(browser, front.url, **how) as page:
        page.goto(f"{front.url}/#evolve{place}")
        yield page


def run_of(data: Path, name: str) -> Run:
    return tables(data)[0].get(name)


def counted(paths: list[str]) -> Callable[[Any], Any]:
    """Return what wraps an application so that the paths that are asked for are kept."""

    def wrap(app: Any) -> Any:
        def counting(environ: Any, start: Any) -> Any:
            paths.append(environ["PATH_INFO"])
            return app(environ, start)

        return counting

    return wrap


def processor_s(page: Page) -> float:
    """Return the seconds of a processor that the page's own thread had so far."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    found = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in found if one["name"] == "ThreadTime"))
