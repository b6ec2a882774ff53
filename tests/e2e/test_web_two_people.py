"""Two people label the same images: what one says is never lost silently to the other."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from commons.adapters.clock import SystemClock
from commons.auth import KeyRequest
from sensory_service.app import Settings, create_keys
from tests.builders import png_files
from tests.web_house import Front, opened, photograph, served_front

pytestmark = pytest.mark.e2e


def filled(front: Front, count: int) -> None:
    for seed, category in enumerate(("cats", "dogs")):
        front.sensory.upload("pets", png_files(1, seed=100 + seed), category)
    front.sensory.upload("pets", png_files(count), None)


def saved(page: Page, count: int) -> None:
    expect(page.locator(".saved-line")).to_have_text(re.compile(rf"^{count} labels? saved$"))


def labels(front: Front) -> dict[str, str | None]:
    found = front.sensory.images("pets")
    return {one.image: one.category and one.category.name for one in found}


def test_two_people_label_different_images(browser, front):
    filled(front, 100)
    seen: dict[str, list[str]] = {"ada": [], "bob": []}
    with opened(browser, front.url) as ada, opened(browser, front.url) as bob:
        for page in (ada, bob):
            page.goto(f"{front.url}/#label/pets")
            expect(page.locator(".large[data-image]")).to_be_visible()
        for _ in range(10):
            for page, name, key in ((ada, "ada", "1"), (bob, "bob", "2")):
                image = str(page.locator(".large").get_attribute("data-image"))
                seen[name].append(image)
                page.keyboard.press(key)
                expect(page.locator(".large")).not_to_have_attribute("data-image", image)
        saved(ada, 10)
        saved(bob, 10)
        assert ada.locator(".conflicts li").count() == 0
        # What one holds the other gets neither first nor last.
        expect(bob.locator(".large")).to_be_visible()
        bob.reload()
        expect(bob.locator(".large[data-image]")).to_be_visible()
        assert str(bob.locator(".large").get_attribute("data-image")) not in seen["ada"]
    assert len({*seen["ada"], *seen["bob"]}) == 20
    now = labels(front)
    assert {now[image] for image in seen["ada"]} == {"cats"}
    assert {now[image] for image in seen["bob"]} == {"dogs"}


def test_who_finds_everything_with_somebody_else_is_told_and_looks_again(browser, front):
    filled(front, 3)
    with opened(browser, front.url) as ada, opened(browser, front.url) as bob:
        ada.goto(f"{front.url}/#label/pets")
        expect(ada.locator(".large[data-image]")).to_be_visible()
        bob.goto(f"{front.url}/#label/pets")
        expect(bob.locator(".nothing")).to_contain_text("3 images without a label are left")
        photograph(bob, "label-taken")
        for _ in range(2):
            image = str(ada.locator(".large").get_attribute("data-image"))
            ada.keyboard.press("s")
            expect(ada.locator(".large")).not_to_have_attribute("data-image", image)
        bob.get_by_role("button", name="Look again").click()
        expect(bob.locator(".large[data-image]")).to_be_visible()


def test_the_label_that_was_given_first_stays_until_one_of_the_two_is_chosen(browser, front):
    filled(front, 2)
    with opened(browser, front.url) as ada, opened(browser, front.url) as bob:
        for page in (ada, bob):
            page.goto(f"{front.url}/#browse/pets?labeled=0")
            expect(page.locator(".cell")).to_have_count(2)
        for page, key in ((ada, "1"), (bob, "2")):
            page.locator(".cell").first.click()
            page.keyboard.press("Control+a")
            page.keyboard.press(key)
            if page is ada:
                saved(ada, 2)
        expect(bob.locator(".conflicts li")).to_have_count(2)
        expect(bob.locator(".conflicts")).to_contain_text("said cats")
        expect(bob.locator(".conflicts")).to_contain_text("You said dogs")
        photograph(bob, "browse-conflicts")
        assert sorted(filter(None, labels(front).values())) == ["cats", "cats", "cats", "dogs"]
        bob.locator(".conflicts li").first.get_by_role("button", name="Take mine").click()
        saved(bob, 1)
        bob.locator(".conflicts li").first.get_by_role("button", name="Keep theirs").click()
        expect(bob.locator(".conflicts")).to_be_hidden()
        assert sorted(filter(None, labels(front).values())) == ["cats", "cats", "dogs", "dogs"]


def test_what_somebody_else_labeled_since_is_not_undone_silently(browser, front):
    filled(front, 1)
    with opened(browser, front.url) as page:
        page.goto(f"{front.url}/#label/pets")
        image = page.locator(".large[data-image]").get_attribute("data-image")
        page.keyboard.press("1")
        saved(page, 1)
        front.sensory.label("pets", image, "dogs")
        page.keyboard.press("u")
        expect(page.locator(".conflicts")).to_contain_text("said dogs")
        assert labels(front)[image] == "dogs"
        page.get_by_role("button", name="Take mine").click()
        saved(page, 2)
        assert labels(front)[image] is None


def test_what_waits_is_signed_by_who_decided_it_and_not_by_who_comes_next(browser, tmp_path):
    settings = Settings(data=tmp_path / "data", keys="required")
    desk = create_keys(settings, SystemClock()).desk
    admin = desk.create(KeyRequest(name="admin", scopes=("admin",))).key

    def log_in(page: Page, name: str) -> str:
        made = desk.create(KeyRequest(name=name, scopes=("sensory:read", "label")))
        page.fill("#login input", made.key)
        page.click("#login .primary")
        expect(page.locator("#logout")).to_have_attribute("title", re.compile(name))
        return made.id

    with (
        served_front(settings.data, settings=settings) as front,
        httpx.Client(base_url=front.url, headers={"Authorization": f"Bearer {admin}"}) as http,
        opened(browser, front.url) as page,
    ):
        images = "/api/sensory/v1/datasets/pets/images"
        for (_, data), query in zip(png_files(3), ("?category=cats", "", ""), strict=True):
            assert http.post(images + query, content=data).is_success
        key = log_in(page, "ada")
        other = page.context.new_page()
        other.goto(front.url)
        expect(other.locator("#logout")).to_have_attribute("title", re.compile("ada"))
        page.goto(f"{front.url}/#label/pets")
        image = str(page.locator(".large[data-image]").get_attribute("data-image"))
        assert http.delete(f"/api/admin/v1/keys/{key}").is_success
        page.keyboard.press("1")
        expect(page.locator("#login")).to_be_visible()
        log_in(page, "bob")
        expect(page.locator("#login")).to_be_hidden()
        expect(other.locator("#logout")).to_have_attribute("title", re.compile("bob"))
        if page.locator(".large[data-image]").get_attribute("data-image") == image:
            page.keyboard.press("s")
        expect(page.locator(".large")).not_to_have_attribute("data-image", image)
        page.keyboard.press("1")
        saved(page, 1)
        history = f"{images}/{image}/history"
        assert [one["who"] for one in http.get(history).json()["events"]] == ["admin"]
        page.click("#logout")
        log_in(page, "ada")
        saved(page, 1)
        assert [one["who"] for one in http.get(history).json()["events"]] == ["admin", "ada"]
