"""The Label view: keys, grid, undo, and that nothing said is lost."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from commons.adapters.clock import SystemClock
from commons.auth import KeyRequest
from commons.label_messages import GivenOpinion, Guess
from sensory_service.app import Settings, create_keys
from tests.builders import png_files
from tests.dicebox_processes import until
from tests.look_alikes import look_at_all, upload_copies
from tests.web_house import PHONE, Front, opened, photograph, serious_findings, served_front

pytestmark = pytest.mark.e2e
EVIL = "<script>alert(1)</script>"


def filled(front: Front, count: int, categories: tuple[str, ...] = ("cats", "dogs")) -> None:
    """Store one labeled image of each category and `count` without a label."""
    for seed, category in enumerate(categories):
        front.sensory.upload("pets", png_files(1, seed=100 + seed), category)
    for start in range(0, count, 200):
        files = png_files(min(200, count - start), seed=start // 200)
        front.sensory.upload("pets", files, None)


def counted(front: Front) -> dict[str, int]:
    """Return the number of images by category, those that `filled` labeled left out."""
    categories = front.sensory.dataset("pets").categories
    return {one.name: one.images - 1 for one in categories}


def saved(page: Page, count: int) -> None:
    line = page.locator(".saved-line")
    expect(line).to_have_text(re.compile(rf"^{count} labels? saved$"), timeout=15_000)


@contextmanager
def labeling(browser: Browser, front: Front, query: str = "", **context: Any) -> Iterator[Page]:
    """Open the view of the pets."""
    with opened(browser, front.url, **context) as page:
        page.goto(f"{front.url}/#label/pets{query}")
        yield page


def image_shown(page: Page) -> str:
    """Return the image that is shown large, as soon as one is."""
    picture = page.locator(".large")
    expect(picture).to_be_visible()
    return str(picture.get_attribute("data-image"))


def test_two_hundred_images_are_labeled_by_number_keys(browser, front):
    filled(front, 200)
    with labeling(browser, front) as page:
        image_shown(page)
        photograph(page, "label-one")
        for number in range(200):
            before = image_shown(page)
            page.keyboard.press("1" if number % 3 else "2")
            if number < 199:
                expect(page.locator(".large")).not_to_have_attribute("data-image", before)
        expect(page.locator("#view-label .nothing")).to_contain_text("Every image here has a label")
        saved(page, 200)
        photograph(page, "label-done")
    assert counted(front) == {"cats": 133, "dogs": 67}


def test_a_reload_in_the_middle_loses_nothing_and_150_steps_are_taken_back_after_it(browser, front):
    filled(front, 160)
    with labeling(browser, front) as page:
        for _ in range(150):
            # A key that is pressed while the next image is on its way labels nothing.
            before = image_shown(page)
            page.keyboard.press("1")
            expect(page.locator(".large")).not_to_have_attribute("data-image", before)
        saved(page, 150)
        page.reload()
        image_shown(page)
        expect(page.locator("#label-left")).to_contain_text("10 of 162", timeout=10_000)
        assert counted(front) == {"cats": 150, "dogs": 0}
        for _ in range(150):
            page.keyboard.press("u")
        expect(page.locator("#label-left")).to_contain_text("160 of 162", timeout=20_000)
        page.keyboard.press("u")
        expect(page.locator("#toasts")).to_contain_text("Nothing to take back")
        page.keyboard.press("Control+Shift+Z")
        expect(page.locator("#label-left")).to_contain_text("159 of 162", timeout=10_000)
    assert counted(front) == {"cats": 1, "dogs": 0}


def test_a_key_and_a_reload_at_the_same_moment_lose_no_decision(browser, front):
    filled(front, 20)
    with labeling(browser, front) as page:
        for _ in range(5):
            before = image_shown(page)
            # Both in one turn of the page: nothing can have been written down in between.
            with page.expect_navigation():
                page.evaluate(
                    """() => {
                        document.dispatchEvent(new KeyboardEvent("keydown", { key: "1" }));
                        location.reload();
                    }"""
                )
            expect(page.locator(f".large[data-image='{before}']")).to_have_count(0)
        until(lambda: counted(front) == {"cats": 5, "dogs": 0})


def test_a_service_that_goes_away_between_two_keys_loses_no_decision(browser, tmp_path):
    data = tmp_path / "data"
    with ExitStack() as stack:
        with served_front(data) as front:
            filled(front, 20)
            page = stack.enter_context(labeling(browser, front))
            image_shown(page)
            page.keyboard.press("1")
            saved(page, 1)
        for key in "2121":
            page.keyboard.press(key)
        line = page.locator(".saved-line")
        expect(line).to_contain_text("4 decisions wait to be saved. The service does not answer.")
        photograph(page, "label-away")
        with served_front(data, port=front.port) as again:
            expect(line).to_have_text("5 labels saved", timeout=30_000)
            assert counted(again) == {"cats": 3, "dogs": 2}


def test_a_thousand_images_are_labeled_in_a_grid(browser, front):
    filled(front, 1000)
    with labeling(browser, front, "?grid=1") as page:
        cells = page.locator(".cell")
        expect(cells.first).to_be_visible()
        photograph(page, "label-grid")
        cells.nth(1).click()
        cells.nth(5).click(modifiers=["Shift"])
        expect(page.locator(".many > .hint")).to_contain_text("5 images selected")
        page.keyboard.press("2")
        saved(page, 5)
        expect(page.locator(".cell.done.saved")).to_have_count(5)
        photograph(page, "label-grid-some")
        done = 5
        while done < 1000:
            expect(page.locator(".cell:not(.done)").first).to_be_visible()
            page.keyboard.press("Control+a")
            expect(page.locator(".many > .hint")).to_contain_text("selected")
            page.keyboard.press("1")
            expect(page.locator(".saved-line")).not_to_have_text(f"{done} labels saved")
            expect(page.locator(".saved-line")).to_contain_text("labels saved", timeout=10_000)
            done = int(re.sub(r"\D", "", page.locator(".saved-line").inner_text()))
        assert page.locator(".cell").count() <= 300
    assert counted(front) == {"cats": 995, "dogs": 5}


def test_the_grid_is_used_by_keyboard_alone(browser, front):
    filled(front, 12)
    with labeling(browser, front) as page:
        image_shown(page)
        page.keyboard.press("g")
        expect(page.locator(".grid")).to_be_focused()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        expect(page.locator(".cell[aria-selected=true]")).to_have_count(3)
        page.keyboard.press("i")
        expect(page.locator(".cell[aria-selected=true]")).to_have_count(9)
        page.keyboard.press("2")
        saved(page, 9)
        page.keyboard.press("Control+z")
        expect(page.locator(".cell.done")).to_have_count(0)
        page.keyboard.press("s")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        expect(page.locator("dialog[open]")).to_contain_text("Select the others instead")
    assert counted(front) == {"cats": 0, "dogs": 0}


def test_a_box_drawn_with_the_mouse_selects(browser, front):
    filled(front, 12)
    with labeling(browser, front, "?grid=1") as page:
        expect(page.locator(".cell").nth(11)).to_be_visible()
        first, third = (page.locator(".cell").nth(index).bounding_box() for index in (0, 2))
        page.mouse.move(first["x"] + 20, first["y"] + 20)
        page.mouse.down()
        page.mouse.move(third["x"] + 20, third["y"] + 40, steps=5)
        page.mouse.up()
        expect(page.locator(".cell[aria-selected=true]")).to_have_count(3)


def test_a_new_category_may_be_called_anything(browser, front):
    filled(front, 3, categories=(EVIL.replace("/", ""),))
    with labeling(browser, front) as page:
        image_shown(page)
        page.keyboard.press("n")
        page.keyboard.type("<b>birds & co")
        expect(page.locator(".category-find .button")).to_have_text("Add “<b>birds & co”")
        page.keyboard.press("Enter")
        saved(page, 1)
        page.keyboard.press("1")
        saved(page, 2)
        page.keyboard.press("n")
        page.keyboard.type("BIRDS")
        page.keyboard.press("Enter")
        saved(page, 3)
        photograph(page, "label-categories")
    assert counted(front) == {EVIL.replace("/", ""): 1, "<b>birds & co": 1}


def opinion(front: Front, category: str, margins: list[float]) -> list[str]:
    """Have a network say the category of as many unlabeled images; return them."""
    known = {one.name: one.id for one in front.sensory.dataset("pets").categories}
    unlabeled = [hashlib.sha256(data).hexdigest() for _, data in png_files(len(margins))]
    said = [
        GivenOpinion(
            image=image,
            top=[Guess(category=known[category], probability=0.5 + margin / 2)],
            margin=margin,
        )
        for image, margin in zip(unlabeled, margins, strict=True)
    ]
    front.sensory.give_opinions("pets", "a" * 64, said)
    return unlabeled


def test_what_the_champion_is_least_sure_of_comes_first_and_its_word_is_taken_by_a_key(
    browser, front
):
    filled(front, 8)
    images = opinion(front, "dogs", [0.9, 0.1, 0.5])
    with labeling(browser, front) as page:
        assert image_shown(page) == images[1]
        expect(page.locator(".one-said")).to_contain_text("dogs (55 %)")
        photograph(page, "label-suggestion")
        page.keyboard.press("Enter")
        expect(page.locator(".large")).to_have_attribute("data-image", images[2])
        page.keyboard.press("1")
        expect(page.locator(".large")).to_have_attribute("data-image", images[0])
        page.keyboard.press(" ")
        saved(page, 3)
    found = {one.image: one for one in front.sensory.images("pets", labeled=True)}
    assert [(found[one].category.name, found[one].source) for one in images] == [
        ("dogs", "suggestion"),
        ("dogs", "suggestion"),
        ("cats", "person"),
    ]


def test_what_is_skipped_comes_again_when_it_is_asked_for(browser, front):
    filled(front, 3)
    with labeling(browser, front) as page:
        for _ in range(3):
            before = image_shown(page)
            page.keyboard.press("s")
            expect(page.locator(f".large[data-image='{before}']")).to_have_count(0)
        expect(page.locator("#view-label .nothing")).to_contain_text(
            "Only what was skipped is left"
        )
        page.click("#view-label .nothing button")
        image_shown(page)
        page.keyboard.press("1")
        saved(page, 1)


def test_images_that_look_alike_are_labeled_and_taken_back_as_one(browser, front):
    filled(front, 0)
    upload_copies(front)
    look_at_all(front)
    with labeling(browser, front, "?grid=1") as page:
        expect(page.locator(".cell")).to_have_count(2)
        copies = page.locator(".cell:has(.cell-badge:not(:empty))")
        expect(copies).to_have_count(1)
        photograph(page, "label-groups")
        copies.click()
        page.keyboard.press("1")
        saved(page, 3)
        assert counted(front) == {"cats": 3, "dogs": 0}
        page.keyboard.press("u")
        expect(page.locator("#label-left")).to_contain_text("4 of 6", timeout=10_000)
        until(lambda: counted(front) == {"cats": 0, "dogs": 0})
        copies.click()
        page.keyboard.press("o")
        expect(page.locator("#view-browse .cell")).to_have_count(3)


def test_a_phone_labels_by_touch_and_nothing_is_wider_than_it(browser, front):
    filled(front, 5)
    with labeling(browser, front, viewport=PHONE, has_touch=True) as page:
        image_shown(page)
        photograph(page, "phone-label")
        page.locator(".category").first.tap()
        saved(page, 1)
        page.get_by_role("button", name="Grid").tap()
        page.locator(".cell").nth(0).tap()
        page.locator(".cell").nth(1).tap()
        expect(page.locator(".cell[aria-selected=true]")).to_have_count(2)
        photograph(page, "phone-label-grid")
        page.locator(".category").nth(1).tap()
        saved(page, 3)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert serious_findings(page) == []
    assert Counter(counted(front)) == {"cats": 1, "dogs": 2}


def test_a_key_that_may_only_look_is_told_what_it_lacks(browser, tmp_path):
    settings = Settings(data=tmp_path / "data", keys="required")
    desk = create_keys(settings, SystemClock()).desk
    with served_front(settings.data, settings=settings) as front:
        writer = desk.create(KeyRequest(name="ada", scopes=("sensory:write", "sensory:read"))).key
        with httpx.Client(headers={"Authorization": f"Bearer {writer}"}) as http:
            path = f"{front.url}/api/sensory/v1/datasets/pets/images"
            assert http.post(path, content=png_files(1)[0][1]).is_success
        looker = desk.create(KeyRequest(name="bob", scopes=("sensory:read",)))
        with opened(browser, front.url) as page:
            page.fill("#login input", looker.key)
            page.click("#login .primary")
            page.goto(f"{front.url}/#label")
            expect(page.locator("#view-label")).to_contain_text("This key may not label")
            expect(page.locator("#view-label .bench")).to_be_hidden()
            page.goto(f"{front.url}/#browse")
            page.locator(".cell").first.click()
            expect(page.locator(".sheet .history")).to_be_visible()
            expect(page.locator("#view-browse .category-find")).to_be_hidden()
            expect(page.get_by_role("button", name="Remove from the dataset")).to_have_count(0)


def test_a_page_without_images_says_where_they_come_from(web_page):
    web_page.click("nav a[href='#label']")
    expect(web_page.locator("#view-label")).to_contain_text("nothing to label yet")
    for key in ("1", "g", "s", "u"):
        web_page.keyboard.press(key)
    expect(web_page.locator("#view-label .bench")).to_be_hidden()
