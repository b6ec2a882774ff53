"""The whole way by mouse: nothing, sample digits, a bred network, its answer, a corrected label."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from commons.messages import FreezeRequest
from dicebox.digits import digit_files
from tests.builders import png_bytes
from tests.web_house import opened, photograph

# A real evolution trains, and wants the machine's cores for itself.
pytestmark = [pytest.mark.e2e, pytest.mark.alone]

SECONDS = "30"
# The winner is trained to its end, exported and put on trial after the time of the run.
ENDED_MS = 240_000


def test_from_an_empty_system_to_a_corrected_label_that_the_next_run_learns_from(
    browser, house, tmp_path: Path
) -> None:
    threes = digit_files()["3"]
    (tmp_path / "three.png").write_bytes(threes[0][1])
    # What nobody has labeled yet: that it is a 3 is what is said here.
    (tmp_path / "odd.png").write_bytes(png_bytes(seed=4711))
    with opened(browser, house.url) as page:
        steps = page.locator("#tour .way li")
        page.click("#take-sample")
        expect(steps.nth(0)).to_have_class("done", timeout=120_000)
        page.click("#tour a[href='#evolve']")
        page.fill("[name=seconds]", SECONDS)
        page.click("text=Start on digits")
        expect(page.locator("#run-view .badge").first).to_have_text("complete", timeout=ENDED_MS)
        photograph(page, "whole-way-run")
        page.goto(f"{house.url}/#serve")
        expect(page.locator("#gallery .badge")).to_have_text("champion", timeout=ENDED_MS)
        page.set_input_files("#pick-pictures", tmp_path / "three.png")
        answer = page.locator("#answers .answer").first
        expect(answer.locator(".first")).to_contain_text("3")
        page.set_input_files("#pick-pictures", tmp_path / "odd.png")
        expect(page.locator("#answers .answer")).to_have_count(2)
        answer.locator("text=Wrong? Correct it").click()
        answer.get_by_role("button", name="3", exact=True).click()
        expect(answer).to_contain_text("it is 3 now", timeout=40_000)
        photograph(page, "whole-way-corrected")
        page.goto(f"{house.url}/#collect")
        for number in range(4):
            expect(steps.nth(number)).to_have_class("done", timeout=15_000)
        expect(page.locator("#tour")).to_contain_text("That is the whole way round")
        photograph(page, "whole-way-end")
    frozen = house.sensory.freeze("digits", FreezeRequest())
    assert sum(frozen.counts.values()) == 1798
    labeled = {one.name: one.images for one in house.sensory.dataset("digits").categories}
    assert labeled["3"] == len(threes) + 1
