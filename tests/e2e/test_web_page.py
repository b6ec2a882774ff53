"""The page in a real browser, over the real services of one data folder."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from commons.adapters.clock import SystemClock
from commons.auth import KeyRequest
from dicebox.front import create_front
from sensory_service.app import Settings, create_keys
from tests.builders import png_bytes, png_files
from tests.onnx_builders import always, network_card
from tests.web_house import Front, photograph

pytestmark = pytest.mark.e2e

VIEWS = ("collect", "evolve", "serve")


@pytest.fixture
def house(front: Front) -> Front:
    return front


@pytest.fixture
def page(web_page: Page) -> Page:
    return web_page


def test_an_empty_house_says_what_to_do(page):
    page.click("nav a[href='#serve']")
    expect(page.locator("#champion")).to_contain_text("Nobody answers yet")


def test_the_champion_answers_and_another_is_promoted_with_the_keyboard_alone(
    page, house, tmp_path
):
    house.sensory.upload("digits", png_files(2), "bright")
    first, second = (
        house.gallery.register(network_card(house.blobs, always(index))) for index in (0, 1)
    )
    house.gallery.promote("digits", first)
    file = tmp_path / "one.png"
    file.write_bytes(png_bytes())
    page.reload()
    page.locator("nav a[href='#serve']").press("Enter")
    page.set_input_files("#pick-pictures", file)
    answer = page.locator("#answers .answer")
    expect(answer.locator(".first")).to_contain_text("dark")
    page.locator(f"[data-focus='{second}']").press("Enter")
    expect(page.locator("#gallery-said")).to_contain_text("answers from now on")
    assert house.gallery.champion("digits").network == second
    page.set_input_files("#pick-pictures", file)
    expect(answer.first.locator(".first")).to_contain_text("bright")
    photograph(page, "serve")


def test_a_service_that_is_away_is_named_and_its_return_noticed(page):
    page.route("**/api/sensory/v1/datasets", lambda route: route.abort())
    expect(page.locator("#outages")).to_contain_text("Images: ", timeout=10_000)
    page.unroute("**/api/sensory/v1/datasets")
    expect(page.locator("#outages")).to_be_empty(timeout=10_000)


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_is_wider_than_a_phone(page, house, view):
    house.sensory.upload("digits", png_files(4), "a category with quite a long name" * 3)
    house.gallery.register(network_card(house.blobs))
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{house.url}/#{view}")
    page.reload()
    expect(page.locator(f"#view-{view}")).to_be_visible()
    expect(page.locator("#dataset option")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    photograph(page, f"phone-{view}")


# The pure modules, called in the browser they are for.


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Give the address of a house that asks for a key, and a key."""
    settings = Settings(data=tmp_path, keys="required")
    request = KeyRequest(name="a person", scopes=("sensory:read", "evolve", "classify"))
    key = create_keys(settings, SystemClock()).desk.create(request).key
    front = create_front(tmp_path, watch=False, settings=settings)
    server = make_server("127.0.0.1", 0, front, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}", key
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_asks_for_a_key_and_forgets_it_at_logout(browser, locked):
    url, key = locked
    context = browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    expect(page.locator("#login")).to_be_visible()
    page.fill("#login input", "dbx_wrong")
    page.click("#login button")
    expect(page.locator("#login-said")).to_contain_text("unknown, expired or revoked")
    page.fill("#login input", key)
    page.click("#login button")
    expect(page.locator("#logout")).to_be_visible()
    expect(page.locator("#login")).to_be_hidden()
    expect(page.locator("#dataset-counts")).to_contain_text("dicebox demo")
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert cookie["value"] != key
    assert page.evaluate("document.cookie") == ""
    page.click("#logout")
    expect(page.locator("#login")).to_be_visible()
    assert context.cookies() == []
    context.close()
    assert faults == []


def test_the_documentation_works_under_its_strict_policy(browser, house):
    context = browser.new_context()
    page = context.new_page()
    blocked: list[str] = []
    page.on("console", lambda line: blocked.append(line.text) if "Content Sec" in line.text else 0)
    for service in ("sensory", "evolution", "classification", "admin"):
        page.goto(f"{house.url}/api/{service}/v1/docs")
        expect(page.locator(".opblock").first).to_be_visible()
    context.close()
    # One style attribute of Swagger UI's own is refused, and not missed; nothing else is.
    assert not [text for text in blocked if not text.startswith("Applying inline style")]
