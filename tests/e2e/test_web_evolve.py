"""Evolve in a real browser: runs that are started, watched, looked into, compared and published.

Their trainings are made up and take milliseconds; all else is real.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from commons.adapters.file_blobs import FileBlobs
from commons.jobs import JobResult, JobSpec
from commons.messages import Run
from tests.builders import png_files
from tests.evolver_builders import FakeEngine, queued_run
from tests.quick_runner import TickingClock, drive_one, tables
from tests.web_house import (
    PHONE,
    Front,
    opened,
    photograph,
    serious_findings,
    served_front,
)

pytestmark = pytest.mark.e2e

# A machine with other work may take its time.
expect.set_options(timeout=20_000)


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


@pytest.fixture(scope="module")
def bred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Give a house with two runs that ended: `plain`, and `costs` with objectives and failures."""
    with served_front(tmp_path_factory.mktemp("bred") / "data") as front:
        for seed, category in enumerate(("cats", "dogs")):
            front.sensory.upload("digits", png_files(4, seed=seed), category)
        queue(front.data, "plain", seed=1)
        drive(front.data)
        queue(front.data, "costs", objectives=["accuracy", "parameters"], evaluations=60)
        drive(front.data, "two", fate=some_fail)
        yield front


@pytest.fixture
def page(browser: Browser, bred: Front) -> Iterator[Page]:
    with watching(browser, bred) as page:
        yield page


def labeled(front: Front) -> None:
    for seed, category in enumerate(("cats", "dogs")):
        front.sensory.upload("pets", png_files(5, seed=seed), category)


def test_a_house_without_labels_says_what_is_missing(web_page, front):
    web_page.goto(f"{front.url}/#evolve")
    expect(web_page.locator("#run-form button")).to_be_disabled()
    expect(web_page.locator("#run-hint")).to_contain_text("two categories")
    expect(web_page.locator("#run-view")).to_contain_text("No run yet")


def test_a_run_is_started_with_objectives_and_limits_and_stopped(web_page, front):
    labeled(front)
    web_page.reload()
    web_page.click("nav a[href='#evolve']")
    web_page.fill("[name=seconds]", "30")
    web_page.click("text=What is good")
    web_page.check("[name=objectives][value=latency]")
    web_page.fill("[name=max_parameters]", "50000")
    web_page.click("text=Data, end and size")
    web_page.fill("[name=shape]", "8x8x1")
    web_page.click("text=Start on pets")
    expect(web_page.locator("#run-view")).to_contain_text("queued")
    (run,) = tables(front.data)[0].newest(9)
    asked = run.request
    assert (asked.seconds, asked.objectives) == (30.0, ["accuracy", "latency"])
    assert (asked.max_parameters, asked.shape) == (50_000, (8, 8, 1))
    assert f"#evolve/{run.id}" in web_page.url
    web_page.click("text=Stop with the best so far")
    expect(web_page.locator("#run-view .badge").first).to_have_text("stopped")


def test_what_the_service_refuses_is_said_at_its_field(web_page, front):
    labeled(front)
    web_page.reload()
    web_page.click("nav a[href='#evolve']")
    web_page.fill("[name=seconds]", "")
    web_page.click("text=Start on pets")
    expect(web_page.locator("#run-hint")).to_contain_text("needs an end")
    web_page.fill("[name=seconds]", "30")
    web_page.click("text=Data, end and size")
    web_page.fill("[name=shape]", "0x0x1")
    web_page.click("text=Start on pets")
    expect(web_page.locator("[name=shape]")).to_have_attribute("aria-invalid", "true")
    expect(web_page.locator("#run-hint")).to_contain_text("shape")
    assert tables(front.data)[0].newest(9) == []


def test_a_run_that_was_left_goes_on_at_the_press_of_a_button(web_page, front):
    table, _ = tables(front.data)
    table.add(queued_run("r1", seconds=None, evaluations=3))
    left = table.claim("one").model_copy(update={"state": "interrupted", "reason": "it ended"})
    table.save(left, "one")
    web_page.goto(f"{front.url}/#evolve")
    web_page.click("text=Go on where it was")
    expect(web_page.locator("#run-view .badge").first).to_have_text("queued")
    expect(web_page.locator("#run-view")).to_contain_text("3 candidates of evolution")


def counted(paths: list[str]) -> Callable[[Any], Any]:
    """Return what wraps an application so that the paths that are asked for are kept."""

    def wrap(app: Any) -> Any:
        def counting(environ: Any, start: Any) -> Any:
            paths.append(environ["PATH_INFO"])
            return app(environ, start)

        return counting

    return wrap


def test_a_run_is_watched_by_one_stream_and_nothing_is_asked_again(browser, tmp_path):
    paths: list[str] = []
    with served_front(tmp_path / "data", wsgi=counted(paths)) as front:
        queue(front.data, "r1", evaluations=30)
        with watching(browser, front, "/r1") as page:
            expect(page.locator(".mode")).to_have_text("live")
            with driven(front.data, epoch_s=0.01):
                expect(page.locator("#run-view .badge").first).to_have_text(
                    "complete", timeout=60_000
                )
            expect(page.locator(".mode")).to_have_count(0)
            expect(page.locator("canvas.chart")).to_have_attribute(
                "aria-label", re.compile(" 30 candidates")
            )
        asked = [path for path in paths if path.startswith("/api/evolution/v1/runs/r1")]
        assert sum(path.endswith("/events") for path in asked) == 1
        # Before the stream began and after it ended.
        assert sum(path.endswith("/runs/r1") for path in asked) <= 3


def test_who_finds_all_places_taken_is_told_every_two_seconds(web_page, front):
    queue(front.data, "r1", evaluations=12)
    web_page.route("**/events", lambda route: route.fulfill(status=204))
    web_page.goto(f"{front.url}/#evolve/r1")
    expect(web_page.locator(".mode")).to_have_text("every 2 s")
    with driven(front.data):
        expect(web_page.locator("#run-view .badge").first).to_have_text("complete", timeout=60_000)


def test_a_house_that_dies_is_waited_for_and_the_run_goes_on_where_it_is(browser, tmp_path):
    data = tmp_path / "data"

    def known(fault: str) -> bool:
        return "ERR_CONNECTION" in fault

    with served_front(data) as front:
        port = front.port
        queue(data, "r1", evaluations=12)
        with watching(browser, front, "/r1", expected=known) as page:
            expect(page.locator(".mode")).to_have_text("live")
            page.context.set_offline(True)
            with driven(data):
                pass
            page.context.set_offline(False)
            expect(page.locator("#run-view .badge").first).to_have_text("complete", timeout=60_000)
            expect(page.locator("#outages")).to_be_empty(timeout=15_000)
    assert port


def test_every_tab_of_a_run_says_what_it_found(page, bred):
    page.goto(f"{bred.url}/#evolve/costs")
    expect(page.locator("#run-view .badge").first).to_have_text("complete")
    expect(page.locator(".tiles")).to_contain_text("60")
    failed = run_of(bred.data, "costs").progress.failed
    assert failed > 0
    page.click(f"text=Why {failed} candidate")
    expect(page.locator("#run-view")).to_contain_text("diverged: loss nan <b>at once</b>")
    photograph(page, "evolve-run")
    page.click(".tabs >> text=Population")
    expect(page.locator(".people tbody tr")).to_have_count(60)
    page.locator(".choices select").nth(1).select_option("failed")
    expect(page.locator(".people tbody tr")).to_have_count(failed)
    photograph(page, "evolve-population")
    page.click(".tabs >> text=Lineage")
    best = run_of(bred.data, "costs").progress.best_individual
    expect(page.locator("#run-view")).to_contain_text(f"How no. {best} came to be")
    expect(page.locator(".tree .leaf.main").last).to_contain_text(f"no. {best}")
    photograph(page, "evolve-lineage")
    page.click(".tabs >> text=Report")
    for text in ("What the operators gained", "What it cost", "What failed", "Where it comes from"):
        expect(page.locator("#run-view")).to_contain_text(text)
    photograph(page, "evolve-report")
    page.emulate_media(media="print")
    expect(page.locator("#run-form")).to_be_hidden()
    photograph(page, "evolve-printed")


def test_a_point_of_the_front_is_picked_by_keyboard_trained_and_published(page, bred):
    page.goto(f"{bred.url}/#evolve/costs/front")
    points = page.locator(".front-list a")
    expect(points.first).to_be_visible()
    points.last.press("Enter")
    number = int(page.url.rsplit("of=", 1)[1])
    expect(page.locator(".individual h3")).to_be_focused()
    expect(page.locator(".individual h3")).to_contain_text(f"No. {number}")
    photograph(page, "evolve-front")
    page.click("text=Train and publish this one")
    expect(page.locator("#run-view .badge").first).to_have_text("queued")
    started = page.url.rsplit("/", 1)[1]
    drive(bred.data, "three")
    expect(page.locator("#run-view .badge").first).to_have_text("complete", timeout=30_000)
    first = tables(bred.data)[1].individuals(started)[0]
    source = tables(bred.data)[1].individuals("costs", number - 1)[0]
    assert first.genome_hash == source.genome_hash
    run = run_of(bred.data, started)
    assert (run.progress.births, run.request.promote, run.snapshot) == (1, "never", "a" * 64)


def test_runs_are_compared_in_one_chart_and_by_what_was_asked(page, bred):
    page.check("[data-focus='pick-plain']")
    page.check("[data-focus='pick-costs']")
    page.click("text=Compare 2 runs")
    expect(page.locator(".legend li")).to_have_count(2)
    differing = page.locator(".compared tr.differs")
    expect(differing.filter(has_text="Objectives")).to_contain_text("accuracy, parameters")
    expect(differing.filter(has_text="Strategy")).to_have_count(0)
    photograph(page, "evolve-compare")
    page.go_back()
    expect(page.locator(".tabs")).to_be_visible()


def test_an_address_of_nobody_says_so_and_one_of_an_individual_leads_to_it(page, bred):
    page.goto(f"{bred.url}/#evolve/nobody")
    expect(page.locator("#run-view")).to_contain_text("There is no such run")
    page.goto(f"{bred.url}/#evolve/plain/population?of=2")
    expect(page.locator(".individual h3")).to_contain_text("No. 2")
    page.click(".individual >> text=Close")
    expect(page.locator(".individual")).to_have_count(0)


TABS = ["", "/population", "/front?of=1", "/lineage?of=30", "/report"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_tab_has_a_serious_fault_of_accessibility(browser, bred, scheme):
    with watching(browser, bred, color_scheme=scheme) as page:
        for place in [*(f"/costs{tab}" for tab in TABS), "/compare?runs=plain,costs"]:
            page.goto(f"{bred.url}/#evolve{place}")
            expect(page.locator("#run-view h2")).to_be_visible()
            page.wait_for_timeout(300)
            assert serious_findings(page) == [], place


@pytest.mark.parametrize("tab", TABS)
def test_no_tab_is_wider_than_a_phone(browser, bred, tab):
    with watching(browser, bred, f"/costs{tab}", viewport=PHONE) as page:
        expect(page.locator("#run-view .badge").first).to_have_text("complete")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        photograph(page, f"phone-evolve-{tab.strip('/').split('?')[0] or 'overview'}")


def test_a_run_of_hundreds_stays_smooth(browser, tmp_path):
    with served_front(tmp_path / "data") as front:
        queue(front.data, "r1", evaluations=300, population=30)
        with watching(browser, front, "/r1") as page:
            expect(page.locator(".mode")).to_have_text("live")
            page.evaluate(
                """() => {
                    window.longest = 0;
                    let last = performance.now();
                    const turn = (now) => {
                        window.longest = Math.max(window.longest, now - last);
                        last = now;
                        requestAnimationFrame(turn);
                    };
                    requestAnimationFrame(turn);
                    window.tasks = [];
                    new PerformanceObserver((list) => {
                        for (const one of list.getEntries()) window.tasks.push(one.duration);
                    }).observe({ entryTypes: ["longtask"] });
                }"""
            )
            with driven(front.data):
                expect(page.locator("#run-view .badge").first).to_have_text(
                    "complete", timeout=60_000
                )
            # What the page itself did; frames also wait for whoever else uses this machine.
            assert max(page.evaluate("window.tasks"), default=0.0) < 200.0
