"""Collect: how pictures get in through the page, and what is said of those that do not."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from benchmarks.web_browser import drop
from tests.builders import png_bytes, png_files
from tests.web_house import PHONE, opened, photograph

pytestmark = pytest.mark.e2e

SCRIPT = "<script>alert(1)<script>"


def folder_of_pets(root: Path) -> Path:
    for seed, name in enumerate(("cats", SCRIPT)):
        (root / "pets" / name).mkdir(parents=True)
        for file, data in png_files(5, seed=seed):
            (root / "pets" / name / file).write_bytes(data)
    (root / "pets" / "cats" / "<img src=x onerror=alert(1)>.txt").write_text("no image")
    (root / "pets" / "cats" / ".DS_Store").write_text("hidden")
    return root / "pets"


def counts(front, dataset="pets") -> dict[str, int]:
    return {one.name: one.images for one in front.sensory.dataset(dataset).categories}


def test_an_empty_house_says_what_to_do(web_page):
    expect(web_page.locator("#dataset-counts")).to_contain_text("dicebox demo")
    expect(web_page.locator("#tour")).to_contain_text("Take 1,797 sample digits")
    photograph(web_page, "collect-empty")
    web_page.click("[data-focus=tour-end]")
    expect(web_page.locator("#tour")).to_be_hidden()
    web_page.reload()
    expect(web_page.locator("#dataset-counts")).to_contain_text("dicebox demo")
    expect(web_page.locator("#tour")).to_be_hidden()


def choose(page, folder):
    page.set_input_files("#pick-folder", folder)


def let_go(page, folder):
    drop(page, "#upload-drop", folder)


@pytest.mark.parametrize("give", [choose, let_go])
def test_a_folder_of_folders_becomes_categories_and_what_is_refused_is_listed(
    web_page, front, tmp_path, give
):
    web_page.fill("[name=dataset]", "pets")
    give(web_page, folder_of_pets(tmp_path))
    expect(web_page.locator(".drop-line")).to_contain_text("10 images stored in pets, 1 refused.")
    expect(web_page.locator("#upload-refused li")).to_have_count(1)
    expect(web_page.locator("#upload-refused li")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(web_page.locator("#upload-refused")).to_contain_text("1 file refused")
    expect(web_page.locator("#dataset-counts .bars li")).to_have_count(2)
    expect(web_page.locator("#dataset-counts")).to_contain_text(SCRIPT)
    assert counts(front) == {"cats": 5, SCRIPT: 5}
    with web_page.expect_download() as saved:
        web_page.click("text=Save as text")
    assert "not-an-image" in saved.value.path().read_text()
    photograph(web_page, "collect")


def test_loose_files_take_the_typed_category_and_a_second_time_is_not_sent(
    web_page, front, tmp_path
):
    file = tmp_path / "one.png"
    file.write_bytes(png_bytes())
    web_page.fill("[name=dataset]", "pets")
    web_page.fill("[name=category]", "dogs")
    web_page.set_input_files("#pick-files", file)
    expect(web_page.locator(".drop-line")).to_contain_text("1 image stored in pets.")
    sent: list[str] = []
    web_page.context.on(
        "request",
        lambda asked: sent.append(asked.url) if asked.url.endswith("category=dogs") else 0,
    )
    web_page.set_input_files("#pick-files", file)
    line = web_page.locator(".drop-line").first
    expect(line).to_contain_text("1 image stored in pets, 1 known already.")
    web_page.fill("[name=category]", "cats")
    web_page.set_input_files("#pick-files", file)
    expect(line).to_contain_text("1 with a new label")
    assert counts(front) == {"cats": 1, "dogs": 0}
    assert sent == []


def test_dropped_files_and_pasted_ones_arrive(web_page, front, tmp_path):
    web_page.fill("[name=dataset]", "pets")
    files = []
    for name, data in png_files(3, seed=7):
        (tmp_path / name).write_bytes(data)
        files.append(tmp_path / name)
    web_page.locator("#upload-drop").drop({"files": files})
    expect(web_page.locator(".drop-line")).to_contain_text("3 images stored in pets.")
    web_page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "x.png", { type: "image/png" }));
            document.body.dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }""",
        list(png_bytes(seed=99)),
    )
    expect(web_page.locator(".drop-line").first).to_contain_text("1 image stored in pets.")
    assert front.sensory.dataset("pets").images == 4


def test_one_picture_in_two_folders_is_said_and_the_later_counts(web_page, front, tmp_path):
    for category in ("cats", "dogs"):
        (tmp_path / "pets" / category).mkdir(parents=True)
        (tmp_path / "pets" / category / "same.png").write_bytes(png_bytes())
    web_page.fill("[name=dataset]", "pets")
    web_page.set_input_files("#pick-folder", tmp_path / "pets")
    expect(web_page.locator("#upload-refused")).to_contain_text("1 picture in two categories")
    expect(web_page.locator(".drop-line")).to_contain_text("1 with a new label")
    assert sorted(counts(front).values()) == [0, 1]
    assert front.sensory.dataset("pets").images == 1


def test_what_is_too_large_or_empty_is_refused_with_the_reason(web_page, tmp_path):
    huge, empty = tmp_path / "huge.png", tmp_path / "empty.png"
    with huge.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    empty.write_bytes(b"")
    web_page.fill("[name=dataset]", "pets")
    web_page.set_input_files("#pick-files", [huge, empty])
    expect(web_page.locator("#upload-refused li")).to_have_count(2)
    expect(web_page.locator("#upload-refused")).to_contain_text("larger than the 64 MiB")
    expect(web_page.locator("#upload-refused")).to_contain_text("empty.png")
    expect(web_page.locator(".drop-line")).to_contain_text("2 refused")


def test_a_bad_name_of_a_dataset_sends_nothing(web_page, front, tmp_path):
    file = tmp_path / "one.png"
    file.write_bytes(png_bytes())
    web_page.fill("[name=dataset]", "../etc")
    web_page.set_input_files("#pick-files", file)
    assert web_page.evaluate("document.querySelector('#upload-form').checkValidity()") is False
    expect(web_page.locator(".drop-line")).to_have_count(0)
    assert front.sensory.datasets() == []


def test_it_is_paused_gone_on_with_and_stopped_by_buttons(web_page, front, tmp_path):
    for name, data in png_files(40, seed=3):
        (tmp_path / name).write_bytes(data)
    web_page.fill("[name=dataset]", "pets")
    web_page.context.route("**/images/lookup", lambda route: None)  # it never answers
    web_page.set_input_files("#pick-files", sorted(tmp_path.glob("*.png")))
    line = web_page.locator(".drop-line")
    expect(line).to_contain_text("0 of 40 files into pets")
    line.locator("text=Pause").press("Enter")
    expect(line).to_contain_text("paused")
    line.locator("text=Go on").press("Enter")
    expect(line.locator("text=Pause")).to_be_visible()
    line.locator("text=Stop").press("Enter")
    expect(line).to_have_count(0)
    web_page.context.unroute_all()
    web_page.reload()
    expect(web_page.locator("#view-collect h1")).to_be_visible()
    expect(line).to_have_count(0)


def test_it_works_on_a_phone(browser, front, tmp_path):
    with opened(browser, front.url, viewport=PHONE) as page:
        page.fill("[name=dataset]", "pets")
        page.set_input_files("#pick-folder", folder_of_pets(tmp_path))
        expect(page.locator(".drop-line")).to_contain_text("10 images stored")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        photograph(page, "phone-collect")
