"""An upload that is cut: by a reload, by a service that is away, by another tab."""

import socket
import threading
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.builders import png_files
from tests.web_house import opened, photograph, served_front

pytestmark = pytest.mark.e2e

FILES = 300


class Gate:
    """Lets uploads of pictures through until it is shut; the others wait for it."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.passed = 0
        self.shut_after = 10**9

    def __call__(self, app):
        def gated(environ, start_response):
            is_upload = environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith(
                "/images"
            )
            if is_upload:
                if self.passed >= self.shut_after:
                    self.open.clear()
                self.passed += 1
                if not self.open.wait(0.05):
                    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                    start_response("503 Away", [("Content-Type", "text/plain")])
                    return [b"away"]
            return app(environ, start_response)

        return gated


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "pets").mkdir()
    for index, (name, data) in enumerate(png_files(FILES, seed=5)):
        folder = tmp_path / "pets" / f"kind-{index % 3}"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return tmp_path / "pets"


@contextmanager
def uploading(browser, tmp_path, pictures, wsgi):
    """Choose the pictures on the page of services behind some middleware."""
    with (
        served_front(tmp_path / "data", wsgi=wsgi) as front,
        opened(browser, front.url) as page,
    ):
        page.fill("[name=dataset]", "pets")
        page.set_input_files("#pick-folder", pictures)
        yield front, page


def test_an_upload_goes_on_after_a_reload_and_nothing_is_lost_or_stored_twice(
    browser, tmp_path, pictures
):
    gate = Gate()
    gate.shut_after = 1
    with uploading(browser, tmp_path, pictures, gate) as (front, page):
        expect(page.locator(".drop-line")).to_contain_text("does not answer")
        expect(page.locator(".drop-line")).to_contain_text(f"of {FILES} files into pets")
        photograph(page, "collect-waiting")
        before = front.sensory.dataset("pets").images
        assert 0 < before < FILES
        page.wait_for_timeout(700)  # the ledger is written twice a second
        page.reload()
        expect(page.locator(".drop-line")).to_contain_text("left from before")
        # A second tab leaves it to the first.
        other = page.context.new_page()
        other.goto(front.url)
        expect(other.locator("#view-collect h1")).to_be_visible()
        expect(other.locator(".drop-line")).to_have_count(0)
        gate.shut_after = 10**9
        gate.open.set()
        expect(page.locator(".drop-line")).to_contain_text(
            f"{FILES} images stored in pets", timeout=60_000
        )
        found = front.sensory.dataset("pets")
        assert (found.images, found.labeled) == (FILES, FILES)
        assert [one.images for one in found.categories] == [FILES // 3] * 3
        page.reload()
        expect(page.locator("#dataset-counts")).to_contain_text(f"{FILES} images")
        expect(page.locator(".drop-line")).to_have_count(0)


def test_a_house_that_dies_and_comes_back_is_waited_for(browser, tmp_path, pictures):
    gate = Gate()
    gate.shut_after = 1
    with served_front(tmp_path / "data", wsgi=gate) as front:
        port = front.port
        context = opened(browser, front.url)
        page = context.__enter__()
        page.fill("[name=dataset]", "pets")
        page.set_input_files("#pick-folder", pictures)
        expect(page.locator(".drop-line")).to_contain_text("does not answer")
    expect(page.locator("#outages")).to_contain_text("Images", timeout=20_000)
    with served_front(tmp_path / "data", port=port) as front:
        expect(page.locator(".drop-line")).to_contain_text(
            f"{FILES} images stored in pets", timeout=60_000
        )
        expect(page.locator("#outages")).to_be_empty(timeout=20_000)
        assert front.sensory.dataset("pets").images == FILES
        context.__exit__(None, None, None)


def test_a_network_that_is_gone_for_a_while_loses_nothing_and_stores_nothing_twice(
    browser, tmp_path, pictures
):
    is_stored, is_gone = threading.Event(), threading.Event()

    def with_an_answer_that_is_lost(app):
        def answer(environ, start_response):
            said = app(environ, start_response)
            is_upload = environ["PATH_INFO"].endswith("/images")
            if is_upload and environ["REQUEST_METHOD"] == "POST" and not is_gone.is_set():
                is_stored.set()
                is_gone.wait(30)
                # The browser's own switch leaves alone what is under way.
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return said

        return answer

    with uploading(browser, tmp_path, pictures, with_an_answer_that_is_lost) as (front, page):
        assert is_stored.wait(30)
        page.context.set_offline(True)
        is_gone.set()
        expect(page.locator(".drop-line")).to_contain_text("does not answer")
        expect(page.locator(".drop-line")).to_contain_text(f"0 of {FILES} files into pets")
        assert front.sensory.dataset("pets").images > 0
        page.context.set_offline(False)
        expect(page.locator(".drop-line")).to_contain_text(f"{FILES} images stored in pets")
        found = front.sensory.dataset("pets")
        assert (found.images, found.labeled) == (FILES, FILES)
        assert [one.images for one in found.categories] == [FILES // 3] * 3


def test_a_full_disk_is_said_and_the_rest_follows_when_there_is_room(browser, tmp_path, pictures):
    is_full = threading.Event()
    is_full.set()

    def with_a_full_disk(app):
        def answer(environ, start_response):
            path = environ["PATH_INFO"]
            if is_full.is_set() and environ["REQUEST_METHOD"] == "POST" and path.endswith("images"):
                environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                head = [("Content-Type", "application/problem+json")]
                start_response("507 Insufficient Storage", head)
                return [b'{"type":"storage-full","detail":"no space is left","status":507}']
            return app(environ, start_response)

        return answer

    with uploading(browser, tmp_path, pictures, with_a_full_disk) as (front, page):
        expect(page.locator(".drop-line")).to_contain_text("no space left on the server")
        is_full.clear()
        # It would be tried again by itself in half a minute; a person is quicker.
        page.click("text=Pause")
        page.click("text=Go on")
        expect(page.locator(".drop-line")).to_contain_text(
            f"{FILES} images stored in pets", timeout=60_000
        )
        assert front.sensory.dataset("pets").images == FILES
