"""What the page says of runs that ended: tabs, individuals, the front, comparisons, a report."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.builders import png_files
from tests.quick_runner import tables
from tests.web_house import PHONE, Front, photograph, serious_findings, served_front
from tests.web_runs import drive, queue, run_of, some_fail, watching

pytestmark = pytest.mark.e2e

# A machine with other work may take its time.
expect.set_options(timeout=20_000)


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
    # Its network is in a gallery that is made up, so its examination is too.
    found = {"images": 20, "categories": [{"id": "a", "name": "cats"}, {"id": "b", "name": "dogs"}]}
    examination = {**found, "confusion": [[9, 1], [4, 6]]}
    page.route("**/networks/*/examination", lambda route: route.fulfill(json=examination))
    page.click(".tabs >> text=Report")
    expect(page.locator(".mistakes")).to_contain_text("dogs taken for cats: 4 (40 %)")
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
