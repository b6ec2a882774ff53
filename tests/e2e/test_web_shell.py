"""The frame around the views: what is true of the page whichever is shown."""

import time

import httpx
import pytest
from playwright.sync_api import expect

from commons.adapters.clock import SystemClock
from commons.auth import KeyRequest
from sensory_service.app import Settings, create_keys
from tests.builders import png_files
from tests.onnx_builders import network_card
from tests.web_house import PHONE, behind_nginx, opened, photograph, serious_findings, served_front

pytestmark = pytest.mark.e2e


def views(page) -> list[str]:
    return page.eval_on_selector_all("#views a", "links => links.map((a) => a.hash.slice(1))")


def filled(front) -> None:
    long = "a category with quite a long name" * 3
    for seed, category in enumerate(("cats", "<script>alert(1)<script>", long)):
        front.sensory.upload("pets", png_files(4, seed=seed), category)
    front.gallery.register(network_card(front.blobs, dataset="pets"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1200, "height": 860}, PHONE])
def test_no_view_has_a_serious_finding_of_axe(browser, front, scheme, viewport):
    filled(front)
    with opened(browser, front.url, color_scheme=scheme, viewport=viewport) as page:
        expect(page.locator("#dataset option")).to_have_count(1)
        for view in views(page):
            page.goto(f"{front.url}/#{view}")
            expect(page.locator(f"#view-{view} h1")).to_be_visible()
            page.wait_for_load_state("networkidle")
            assert serious_findings(page) == [], view
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            if scheme == "dark":
                photograph(page, f"dark-{view}-{viewport['width']}")


def test_the_address_says_the_view_and_the_back_button_goes_back(web_page):
    assert views(web_page)[0] == "collect"
    expect(web_page).to_have_url(f"{web_page.url.split('#')[0]}#collect")
    expect(web_page.locator("#view-collect h1")).to_be_visible()
    for view in views(web_page)[1:]:
        web_page.click(f"nav a[href='#{view}']")
        expect(web_page.locator(f"#view-{view} h1")).to_be_focused()
        expect(web_page.locator("#views a[aria-current]")).to_have_attribute("href", f"#{view}")
    web_page.go_back()
    expect(web_page.locator(f"#view-{views(web_page)[-2]}")).to_be_visible()
    web_page.evaluate("location.hash = '#nowhere'")
    expect(web_page.locator(f"#view-{views(web_page)[-2]}")).to_be_visible()
    web_page.evaluate("location.hash = '#classify'")
    expect(web_page.locator("#view-serve")).to_be_visible()


def test_who_skips_the_navigation_stays_in_the_view(web_page):
    web_page.click("nav a[href='#serve']")
    # The heading of a view takes the focus once that is there.
    expect(web_page.locator("#view-serve h1")).to_be_focused()
    web_page.locator(".skip").press("Enter")
    expect(web_page.locator("#main")).to_be_focused()
    expect(web_page.locator("#view-serve")).to_be_visible()


def test_a_view_that_cannot_be_loaded_says_so_and_can_be_tried_again(browser, front):
    with opened(browser, front.url) as page:
        page.route("**/views/serve/view.js", lambda route: route.abort())
        page.click("nav a[href='#serve']")
        expect(page.locator("#view-serve")).to_contain_text("could not be loaded")
        page.click("nav a[href='#collect']")
        expect(page.locator("#view-collect h1")).to_be_visible()
        page.click("nav a[href='#serve']")
        expect(page.locator("#view-serve")).to_contain_text("could not be loaded")
        page.unroute("**/views/serve/view.js")
        page.click("#view-serve button")
        expect(page.locator("#view-serve h1")).to_be_visible()
        expect(page.locator("#view-serve")).not_to_contain_text("could not be loaded")


def test_a_person_chooses_the_colours_and_they_stay(web_page):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = web_page.evaluate(paper)
    for name in ("light", "dark"):
        web_page.click("#theme")
        expect(web_page.locator("#theme")).to_have_attribute("aria-label", f"Colours: {name}")
    dark = web_page.evaluate(paper)
    assert dark != light
    web_page.reload()
    expect(web_page.locator("#theme")).to_have_attribute("aria-label", "Colours: dark")
    assert web_page.evaluate(paper) == dark


def test_the_help_lists_the_keys_and_switches_single_ones_off(web_page):
    expect(web_page.locator("#view-collect h1")).to_be_visible()
    web_page.keyboard.press("?")
    expect(web_page.locator("dialog[open] dl")).to_contain_text("Show this help")
    web_page.keyboard.press("?")
    expect(web_page.locator("dialog[open]")).to_have_count(1)
    web_page.uncheck("dialog[open] [type=checkbox]")
    web_page.click("dialog[open] .primary")
    web_page.keyboard.press("?")
    expect(web_page.locator("dialog[open]")).to_have_count(0)
    web_page.reload()
    web_page.click("#help")
    expect(web_page.locator("dialog[open] [type=checkbox]")).not_to_be_checked()


@pytest.fixture
def locked(tmp_path):
    """Give a house that asks for keys, and the desk that makes them."""
    settings = Settings(data=tmp_path / "data", keys="required")
    desk = create_keys(settings, SystemClock()).desk
    with served_front(settings.data, settings=settings) as front:
        yield front, desk


def made(desk, *scopes):
    return desk.create(KeyRequest(name="a person", scopes=scopes))


def test_a_key_that_is_revoked_in_the_middle_is_asked_for_and_nothing_is_loaded_again(
    browser, locked
):
    front, desk = locked
    first = made(desk, "sensory:read", "classify", "evolve")
    with opened(browser, front.url) as page:
        expect(page.locator("#login")).to_be_visible()
        photograph(page, "login")
        page.fill("#login input", "dbx_wrong")
        page.click("#login .primary")
        expect(page.locator("#login-said")).to_contain_text("unknown, expired or revoked")
        page.fill("#login input", first.key)
        page.click("#login .primary")
        expect(page.locator("#login")).to_be_hidden()
        page.evaluate("window.before = true")
        admin = made(desk, "admin")
        revoked = httpx.delete(
            f"{front.url}/api/admin/v1/keys/{first.id}",
            headers={"Authorization": f"Bearer {admin.key}"},
        )
        assert revoked.is_success
        expect(page.locator("#login")).to_be_visible(timeout=15_000)
        page.keyboard.press("Escape")
        expect(page.locator("#login")).to_be_visible()
        second = made(desk, "sensory:read", "classify", "evolve")
        page.fill("#login input", second.key)
        with page.expect_response("**/sensory/v1/datasets") as answered:
            page.click("#login .primary")
        assert answered.value.ok
        expect(page.locator("#login")).to_be_hidden()
        assert page.evaluate("window.before") is True


def test_a_key_is_forgotten_at_logout_and_no_script_sees_the_cookie(browser, locked):
    front, desk = locked
    key = made(desk, "sensory:read", "classify", "evolve").key
    with opened(browser, front.url) as page:
        page.fill("#login input", key)
        page.click("#login .primary")
        expect(page.locator("#logout")).to_be_visible()
        expect(page.locator("#dataset-counts")).to_contain_text("dicebox demo")
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert cookie["value"] != key
        assert page.evaluate("document.cookie") == ""
        page.click("#logout")
        expect(page.locator("#login")).to_be_visible()
        assert page.context.cookies() == []


def test_while_nobody_answers_no_dot_says_that_all_is_well(web_page):
    dots = web_page.locator("#strip .dot")
    expect(web_page.get_by_role("img", name="ready")).to_have_count(3)
    web_page.route("**/api/admin/v1/health", lambda route: route.abort())
    web_page.evaluate("dispatchEvent(new Event('online'))")
    expect(web_page.locator("#strip .dot.unknown")).to_have_count(3)
    expect(dots.first).to_have_attribute("aria-label", "Images: not known")
    web_page.unroute("**/api/admin/v1/health")
    web_page.evaluate("dispatchEvent(new Event('online'))")
    expect(dots.first).to_have_attribute("aria-label", "Images: ready")


def test_a_service_that_is_away_is_named_and_its_return_noticed(web_page):
    web_page.route("**/api/sensory/v1/datasets", lambda route: route.abort())
    expect(web_page.locator("#outages")).to_contain_text("Images: ", timeout=10_000)
    web_page.unroute("**/api/sensory/v1/datasets")
    expect(web_page.locator("#outages")).to_be_empty(timeout=10_000)


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_wrong_changes_no_age(browser, front, days):
    with opened(browser, front.url) as page:
        page.clock.set_fixed_time(time.time() + 86_400 * days)
        page.reload()
        expect(page.locator("#strip .dot")).to_have_count(3)
        asked = "async () => (await import('/js/lib/clock.js')).now()"
        assert abs(page.evaluate(asked) - time.time()) < 5


def test_the_page_works_behind_nginx(browser, front, tmp_path):
    folder = tmp_path / "pets" / "cats"
    folder.mkdir(parents=True)
    for name, data in png_files(30):
        (folder / name).write_bytes(data)
    (tmp_path / "nginx").mkdir()
    with behind_nginx(tmp_path / "nginx", front) as url, opened(browser, url) as page:
        page.fill("[name=dataset]", "pets")
        page.set_input_files("#pick-folder", tmp_path / "pets")
        expect(page.locator(".drop-line")).to_contain_text("30 images stored in pets.")
        for view in views(page):
            page.goto(f"{url}/#{view}")
            expect(page.locator(f"#view-{view} h1")).to_be_visible()
            expect(page.locator(f"#view-{view}")).not_to_contain_text("could not be loaded")
        expect(page.locator("#outages")).to_be_empty()


def test_the_documentation_works_under_its_strict_policy(browser, front):
    context = browser.new_context()
    page = context.new_page()
    blocked: list[str] = []
    page.on("console", lambda line: blocked.append(line.text) if "Content Sec" in line.text else 0)
    for service in ("sensory", "evolution", "classification", "admin"):
        page.goto(f"{front.url}/api/{service}/v1/docs")
        expect(page.locator(".opblock").first).to_be_visible()
    context.close()
    # One style attribute of Swagger UI's own is refused, and not missed; nothing else is.
    assert not [text for text in blocked if not text.startswith("Applying inline style")]


def test_the_first_look_is_small_and_from_here_alone(browser, front):
    filled(front)
    with opened(browser, front.url) as page:
        page.wait_for_load_state("networkidle")
        sizes = page.evaluate(
            "[...performance.getEntriesByType('resource'),"
            " ...performance.getEntriesByType('navigation')].map((one) => one.encodedBodySize)"
        )
        assert 10_000 < sum(sizes) < 200_000
