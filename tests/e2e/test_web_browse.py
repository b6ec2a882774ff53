"""The Browse view: filters, likely errors, balance, categories, snapshots, one image's history."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from commons.label_messages import GivenOpinion, Guess
from tests.builders import png_files
from tests.look_alikes import look_at_all, upload_copies
from tests.web_house import PHONE, Front, opened, photograph, serious_findings

pytestmark = pytest.mark.e2e
EVIL = "<script>alert(1)<b>"


@contextmanager
def browsing(browser: Browser, front: Front, rest: str = "", **context: Any) -> Iterator[Page]:
    """Open the view of the pets."""
    with opened(browser, front.url, **context) as page:
        page.goto(f"{front.url}/#browse/pets{rest}")
        yield page


def filled(front: Front, **counts: int) -> dict[str, list[str]]:
    """Store so many images of each category; return them by category."""
    stored = {}
    for seed, (category, count) in enumerate(counts.items()):
        files = png_files(count, seed=seed)
        for start in range(0, count, 500):
            front.sensory.upload("pets", files[start : start + 500], category)
        stored[category] = [hashlib.sha256(data).hexdigest() for _, data in files]
    return stored


def opinions(front: Front, said: dict[str, tuple[str, float]]) -> None:
    """Have the champion say a category of each image, as sure as that."""
    known = {one.name: one.id for one in front.sensory.dataset("pets").categories}
    given = [
        GivenOpinion(image=image, top=[Guess(category=known[name], probability=share)], margin=0.5)
        for image, (name, share) in said.items()
    ]
    front.sensory.give_opinions("pets", "a" * 64, given)


def found(page: Page, text: str) -> None:
    expect(page.locator("#view-browse .panel > .hint").first).to_contain_text(text)


def saved(page: Page, count: int) -> None:
    expect(page.locator(".saved-line")).to_have_text(re.compile(rf"^{count} labels? saved$"))


def labels(front: Front) -> dict[str, str | None]:
    return {one.image: one.category and one.category.name for one in front.sensory.images("pets")}


def test_planted_errors_come_first_and_are_corrected_where_they_are_seen(browser, front):
    images = filled(front, cats=30, dogs=30)
    said = {image: (name, 0.9) for name, all_of in images.items() for image in all_of}
    planted = images["cats"][:3]
    for number, image in enumerate(planted):
        said[image] = ("dogs", 0.99 - number / 100)
    opinions(front, said)
    with browsing(browser, front) as page:
        found(page, "60 found")
        page.get_by_role("button", name="Likely errors").click()
        found(page, "3 found: the champion disagrees")
        expect(page.locator(".cell")).to_have_count(3)
        expect(page.locator(".cell .cell-badge").first).to_have_text("dogs?")
        page.locator(".cell").first.click()
        expect(page.locator(".sheet code")).to_have_text(planted[0][:10])
        expect(page.locator(".sheet .history")).to_contain_text("labeled cats")
        photograph(page, "browse-errors")
        page.keyboard.press("Control+a")
        page.keyboard.press("Enter")
        saved(page, 3)
        page.keyboard.press("u")
        expect(page.locator(".cell-name").first).to_have_text("cats")
        page.keyboard.press("Control+Shift+Z")
        expect(page.locator(".cell-name").first).to_have_text("dogs")
        saved(page, 9)
        page.reload()
        found(page, "0 found")
    now = front.sensory.images("pets")
    assert {one.image for one in now if one.source == "undo"} == set(planted)
    assert [labels(front)[image] for image in planted] == ["dogs"] * 3


def test_filters_are_in_the_address_and_the_back_button_takes_them_back(browser, front):
    filled(front, cats=5, dogs=4, **{EVIL: 2})
    front.sensory.freeze("pets")
    with browsing(browser, front) as page:
        found(page, "11 found: all, newest first")
        page.get_by_text("Narrow down").click()
        page.select_option("select[name=label]", label=EVIL)
        found(page, f"2 found: labeled {EVIL}")
        page.select_option("select[name=label]", label="cats")
        found(page, "5 found: labeled cats")
        page.select_option("select[name=split]", "train")
        found(page, "labeled cats, in train")
        address = page.url
        page.go_back()
        found(page, "5 found: labeled cats.")
        page.goto(address)
        found(page, "labeled cats, in train")
        expect(page.locator("select[name=split]")).to_have_value("train")
        photograph(page, "browse-filters")


def test_fifty_thousand_images_scroll_with_few_nodes(browser, front):
    # The pages are made up: what is looked at is the browser.
    image = filled(front, cats=1)["cats"][0]
    template = front.sensory.images("pets")
    one = next(iter(template)).model_dump(mode="json")

    def page_of(route):
        query = route.request.url.split("?", 1)[1]
        cursor = re.search(r"cursor=(\d+)", query)
        start = int(cursor.group(1)) if cursor else 0
        images = [one | {"image": f"{start + i:064x}"} for i in range(200)]
        after = str(start + 200) if start + 200 < 50_000 else None
        route.fulfill(json={"images": images, "cursor": after})

    with opened(browser, front.url) as page:
        page.route("**/datasets/pets/images?*", page_of)
        page.route(re.compile(r"/images/0{20}"), lambda route: route.fulfill(status=404))
        page.goto(f"{front.url}/#browse/pets")
        found(page, "200 found so far")
        assert image
        for _ in range(12):
            page.locator(".grid").evaluate("(grid) => { grid.scrollTop = grid.scrollHeight; }")
            page.wait_for_timeout(50)
        found(page, "found so far")
        expect(page.locator(".cell").last).to_be_attached()
        shown = int(page.locator(".cell").last.get_attribute("aria-posinset"))
        assert shown > 600
        assert page.locator(".grid *").count() <= 300 * 7
        assert page.locator(".cell").count() <= 300


def test_the_balance_leads_to_what_it_counts(browser, front):
    images = filled(front, cats=24, dogs=4)
    front.sensory.upload("pets", png_files(3, seed=50), None)
    front.sensory.freeze("pets")
    opinions(front, {images["dogs"][0]: ("cats", 0.8)})
    with browsing(browser, front, "/balance") as page:
        expect(page.locator(".uneven")).to_contain_text("6.0 times")
        rows = page.locator(".balance tbody tr")
        expect(rows).to_have_count(3)
        expect(rows.nth(2)).to_contain_text("no label")
        photograph(page, "browse-balance")
        rows.nth(1).locator("td").last.locator("a").click()
        found(page, "1 found: labeled dogs, the champion disagrees")


def test_categories_are_renamed_merged_and_added(browser, front):
    filled(front, cat=2, cats=3, **{EVIL: 1})
    with browsing(browser, front, "/categories") as page:
        expect(page.locator(".category-row")).to_have_count(3)
        photograph(page, "browse-categories")
        page.get_by_role("button", name=f"Rename {EVIL}").click()
        page.keyboard.type("birds")
        page.keyboard.press("Enter")
        expect(page.locator(".category-row .name").nth(2)).to_have_text("birds")
        page.get_by_label("Merge cat into").select_option(label="cats")
        expect(page.locator("dialog[open]")).to_contain_text("2 and 3 images become 5 of cats")
        page.get_by_role("button", name="Merge", exact=True).click()
        expect(page.locator(".category-row")).to_have_count(2)
        page.get_by_label("New category").fill("fish")
        page.keyboard.press("Enter")
        expect(page.locator(".category-row")).to_have_count(3)
        page.get_by_label("New category").fill("a/b")
        page.keyboard.press("Enter")
        expect(page.locator(".toast.bad")).to_be_visible()
    known = {one.name: one.images for one in front.sensory.dataset("pets").categories}
    assert known == {"cats": 5, "birds": 1, "fish": 0}


def test_two_snapshots_are_frozen_and_compared(browser, front):
    images = filled(front, cats=10, dogs=10)
    with browsing(browser, front, "/snapshots") as page:
        expect(page.locator("#view-browse")).to_contain_text("Nothing was frozen yet")
        page.get_by_role("button", name="Freeze").click()
        expect(page.locator(".snapshot")).to_have_count(1)
        front.sensory.label("pets", images["cats"][0], "dogs")
        front.sensory.upload("pets", png_files(2, seed=70), "birds")
        front.sensory.remove("pets", images["dogs"][0])
        page.get_by_role("button", name="Freeze").click()
        expect(page.locator(".snapshot")).to_have_count(2)
        page.get_by_role("button", name="Compare").click()
        expect(page.locator(".differences")).to_contain_text("Other labels: 1 image")
        expect(page.locator(".differences")).to_contain_text("cats → dogs")
        expect(page.locator(".differences")).to_contain_text("New: 2 images")
        expect(page.locator(".differences")).to_contain_text("Gone: 1 image")
        expect(page.locator(".differences")).to_contain_text("New categories: birds")
        photograph(page, "browse-snapshots")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").first.click()
        assert download.value.suggested_filename.endswith(".tar")


def test_copies_with_different_labels_are_found(browser, front):
    upload_copies(front, "cats", "dogs", "cats", "dogs")
    look_at_all(front)
    with browsing(browser, front, "/alike") as page:
        expect(page.locator(".groups li")).to_have_count(1)
        page.get_by_label("Only groups with different labels").check()
        expect(page.locator(".groups li")).to_contain_text("2 labels")
        photograph(page, "browse-alike")
        page.locator(".groups a").click()
        found(page, "3 found: of one group that looks alike")
        page.locator(".cell").first.click()
        expect(page.get_by_role("link", name="Images that look like it")).to_be_visible()


def test_an_image_that_is_removed_can_be_brought_back(browser, front):
    (image,) = filled(front, cats=1)["cats"]
    with browsing(browser, front) as page:
        page.locator(".cell").first.click()
        page.get_by_role("button", name="Remove from the dataset").click()
        page.locator("dialog[open]").get_by_role("button", name="Remove").click()
        found(page, "0 found")
        assert labels(front) == {}
        page.get_by_role("button", name="Bring it back").click()
        expect(page.locator(".toast.good")).to_contain_text("It is back")
    assert labels(front) == {image: "cats"}
    kinds = [event.kind for event in front.sensory.history("pets", image).events]
    assert kinds[:3] == ["labeled", "removed", "restored"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_part_and_axe_finds_nothing_serious(browser, front, scheme):
    filled(front, cats=5, dogs=3)
    for _ in range(2):
        front.sensory.freeze("pets")
    with browsing(browser, front, viewport=PHONE, color_scheme=scheme) as page:
        for tab in ("", "/balance", "/categories", "/alike", "/snapshots"):
            page.goto(f"{front.url}/#browse/pets{tab}")
            page.wait_for_load_state("networkidle")
            expect(page.locator("#view-browse h1")).to_be_visible()
            assert serious_findings(page) == [], tab
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], tab
            photograph(page, f"phone-browse{tab.replace('/', '-')}-{scheme}")
