"""Evolve in a real browser: runs that are started, watched, stopped and gone on with."""

import re
import threading

import pytest
from playwright.sync_api import expect

from benchmarks.web_run import RUN, WrittenRun
from tests.builders import png_files
from tests.evolver_builders import queued_run
from tests.quick_runner import tables
from tests.web_house import Front, served_front
from tests.web_runs import counted, driven, processor_s, queue, watching

pytestmark = pytest.mark.e2e

# A machine with other work may take its time.
expect.set_options(timeout=20_000)


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


def test_a_run_of_hundreds_costs_the_page_little(browser, tmp_path):
    with served_front(tmp_path / "data") as front:
        run = WrittenRun(front.data)
        with watching(browser, front, f"/{RUN}") as page:
            expect(page.locator(".mode")).to_have_text("live")
            before = processor_s(page)
            writer = threading.Thread(target=run.write, args=(300, 25.0))
            writer.start()
            expect(page.locator("#run-view .badge").first).to_have_text("complete", timeout=90_000)
            writer.join()
            # Frames also wait for whoever else uses this machine; what the page itself spends on
            # an individual does not.
            assert (processor_s(page) - before) / 300 < 0.02
            expect(page.locator(".tiles")).to_contain_text("300")
