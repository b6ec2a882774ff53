"""The webcam of Collect, which Chromium plays itself."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.builders import png_files
from tests.onnx_builders import always, network_card
from tests.web_house import chromium, opened, photograph

pytestmark = pytest.mark.e2e

CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a Chromium whose camera shows a test picture that moves."""
    with chromium(*CAMERA) as browser:
        yield browser


def test_one_picture_by_key_and_a_burst_are_stored_with_their_category(browser, front):
    with opened(browser, front.url) as page:
        page.fill("[name=dataset]", "faces")
        page.fill("[name=category]", "me")
        page.click("text=Use the webcam")
        expect(page.locator(".capture video")).to_be_visible()
        expect(page.locator(".capture video")).to_have_js_property("readyState", 4)
        page.locator(".capture video").click()
        page.keyboard.press("Space")
        expect(page.locator("#capture-said")).to_contain_text("1 picture of the webcam stored")
        page.click("text=Burst")
        expect(page.locator("#capture-said")).to_contain_text("4 pictures", timeout=20_000)
        page.click("text=Burst")
        photograph(page, "collect-webcam")
        page.click("text=Switch off")
        expect(page.locator(".capture")).to_be_hidden()
        assert page.evaluate("document.querySelector('.capture video').srcObject") is None
        (category,) = front.sensory.dataset("faces").categories
        assert category.name == "me"
        assert category.images >= 2


def test_pictures_that_wait_are_told_of_and_not_left_behind_unasked(browser, front):
    asks = (
        "const leaving = new Event('beforeunload', { cancelable: true });"
        "dispatchEvent(leaving); leaving.defaultPrevented"
    )
    with opened(browser, front.url) as page:
        page.fill("[name=dataset]", "faces")
        page.click("text=Use the webcam")
        expect(page.locator(".capture video")).to_have_js_property("readyState", 4)
        assert not page.evaluate(asks)
        page.route("**/images?*", lambda route: route.abort())
        page.click("text=Take one")
        expect(page.locator("#capture-said")).to_contain_text("1 picture waits in this page")
        assert page.evaluate(asks)
        page.unroute("**/images?*")
        expect(page.locator("#capture-said")).to_have_text(
            "1 picture of the webcam stored in faces."
        )
        assert not page.evaluate(asks)


def test_supervised_capture_stores_only_what_is_answered_wrong(browser, front):
    front.sensory.upload("digits", png_files(2), "bright")
    front.gallery.promote("digits", front.gallery.register(network_card(front.blobs, always(0))))
    with opened(browser, front.url) as page:
        expect(page.locator("#dataset option")).to_have_count(1)
        page.fill("[name=dataset]", "digits")
        page.click("text=Use the webcam")
        expect(page.locator(".capture video")).to_have_js_property("readyState", 4)
        supervised = page.locator("text=Only what is answered wrong")
        supervised.click()
        expect(page.locator("#capture-said")).to_contain_text("Say in the field Category")
        page.fill("[name=category]", "dark")
        supervised.click()
        expect(page.locator("#capture-answer")).to_contain_text("right, not stored")
        assert front.sensory.dataset("digits").images == 2
        page.fill("[name=category]", "bright")
        expect(page.locator("#capture-answer")).to_contain_text("wrong, stored as bright")
        expect(page.locator("#capture-said")).to_contain_text("of the webcam stored in digits")
        supervised.click()
        photograph(page, "collect-supervised")
    assert front.sensory.dataset("digits").images > 2


def test_a_page_without_a_camera_says_so(browser, front):
    with opened(browser, front.url) as page:
        page.add_init_script(
            "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
        )
        page.reload()
        expect(page.locator("text=Use the webcam")).to_be_disabled()
        expect(page.locator("#capture-said")).to_contain_text("of this machine alone")
