"""Admin: keys made, used and revoked on the page; how the services and the storage are."""

import httpx
import pytest
from playwright.sync_api import expect

from commons.adapters.clock import SystemClock
from commons.auth import KeyRequest
from sensory_service.app import Settings, create_keys
from tests.web_house import opened, photograph, serious_findings, served_front

pytestmark = pytest.mark.e2e

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def locked(tmp_path):
    """Give a house that asks for keys, and a function that makes them."""
    settings = Settings(data=tmp_path / "data", keys="required")
    desk = create_keys(settings, SystemClock()).desk

    def made(*scopes: str) -> str:
        return desk.create(KeyRequest(name="the first", scopes=scopes)).key

    with served_front(settings.data, settings=settings) as front:
        yield front, made


def logged_in(page, key: str) -> None:
    page.fill("#login input", key)
    page.click("#login .primary")
    expect(page.locator("#login")).to_be_hidden()


def whoami(front, key: str) -> httpx.Response:
    return httpx.get(f"{front.url}/api/admin/v1/whoami", headers={"Authorization": f"Bearer {key}"})


def test_a_key_is_made_shown_once_and_revoked(browser, locked):
    front, made = locked
    with opened(browser, f"{front.url}/#admin") as page:
        logged_in(page, made("admin"))
        page.fill("[name=key-name]", SCRIPT)
        page.click("text=Make a key")
        expect(page.locator("#key-said")).to_contain_text("Choose what")
        page.check("[value='sensory:read']")
        page.check("[value='label']")
        page.fill("[name=key-days]", "30")
        page.click("text=Make a key")
        key = page.locator("#key-text").input_value()
        assert whoami(front, key).json()["scopes"] == ["sensory:read", "label"]
        photograph(page, "admin-new-key")
        page.click("dialog[open] .primary")
        assert key not in page.content()
        row = page.locator("#key-list li", has_text=SCRIPT)
        expect(row).to_contain_text("sensory:read label")
        expect(row).to_contain_text("until ")
        assert serious_findings(page) == []
        photograph(page, "admin")
        row.locator("button").press("Enter")
        page.click("text=Keep it")
        assert whoami(front, key).is_success
        row.locator("button").click()
        page.locator("dialog[open] .danger").click()
        expect(row).to_contain_text("revoked")
        assert whoami(front, key).status_code == 401


def test_a_key_that_may_not_is_told_what_to_ask_for(browser, locked):
    front, made = locked
    with opened(browser, f"{front.url}/#admin") as page:
        logged_in(page, made("sensory:read", "classify"))
        expect(page.locator("#admin-denied")).to_contain_text("has not the scope admin")
        expect(page.locator("#key-form")).to_be_hidden()
        expect(page.locator("#strip")).to_be_hidden()


def test_services_and_storage_are_shown(web_page, front):
    web_page.goto(f"{front.url}/#admin")
    expect(web_page.locator("#health li")).to_have_count(3)
    expect(web_page.locator("#health")).to_contain_text("ready")
    expect(web_page.locator("#storage")).to_contain_text("free of")
    expect(web_page.locator("#strip .dot")).to_have_count(3)
    expect(web_page.locator("#key-list")).to_contain_text("None yet")
