"""A new user on an empty system: sample digits in one click, and steps that tick themselves off."""

import pytest
from playwright.sync_api import expect

from tests.onnx_builders import network_card
from tests.web_house import photograph

pytestmark = pytest.mark.e2e


def test_sample_digits_are_taken_in_one_click_and_the_step_is_ticked(web_page, front):
    web_page.click("#take-sample")
    expect(web_page.locator("#dataset-counts")).to_contain_text("1,797 images", timeout=120_000)
    expect(web_page.locator("#tour .way .done")).to_have_count(1)
    expect(web_page.locator("#take-sample")).to_have_count(0)
    expect(web_page.locator("[name=dataset]")).to_have_value("digits")
    found = front.sensory.dataset("digits")
    assert (found.images, found.labeled, len(found.categories)) == (1797, 1797, 10)
    photograph(web_page, "first-visit-1")
    front.gallery.promote("digits", front.gallery.register(network_card(front.blobs)))
    expect(web_page.locator("#tour .way li").nth(2)).to_have_class("done", timeout=15_000)
    web_page.click("#tour a[href='#evolve']")
    expect(web_page.locator("#view-evolve h1")).to_be_focused()
