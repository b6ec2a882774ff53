"""Serve in a real browser: asked, promoted, tried, rolled back, looked into and corrected."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from classification_service.adapters.examination_tables import SqlExaminationTables
from commons.adapters.database import create_database, sqlite_url
from commons.messages import Category, Examination, FreezeRequest
from tests.builders import png_bytes, png_files
from tests.onnx_builders import always, network_card
from tests.web_house import PHONE, Front, opened, photograph, serious_findings

pytestmark = pytest.mark.e2e

# A machine with other work may take its time.
expect.set_options(timeout=20_000)

WEBCAM = """
    navigator.mediaDevices.getUserMedia = async () => {
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 64;
        const context = canvas.getContext("2d");
        setInterval(() => { context.fillStyle = "white"; context.fillRect(0, 0, 64, 64); }, 50);
        return canvas.captureStream(10);
    };
"""


def networks(front: Front) -> tuple[str, str]:
    """Register one that always says dark, which is promoted, and one that says bright."""
    front.sensory.upload("digits", png_files(2), "bright")
    front.sensory.upload("digits", png_files(2, seed=7), "<i>dark")
    first, second = (
        front.gallery.register(network_card(front.blobs, always(index))) for index in (0, 1)
    )
    front.gallery.promote("digits", first)
    return first, second


def serve(page: Page, front: Front, place: str = "") -> None:
    page.goto(f"{front.url}/#serve{place}")
    page.reload()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.png"
    path.write_bytes(png_bytes(seed=999))
    return path


def examined(front: Front, network: str) -> None:
    database = create_database(sqlite_url(front.data / "classification.sqlite3"))
    categories = [Category(id="c0", name="dark"), Category(id="c1", name="bright")]
    found = Examination(
        network=network,
        snapshot="5" * 64,
        split="validation",
        images=20,
        categories=categories,
        confusion=[[9, 1], [4, 6]],
        accuracy=0.75,
        latency_us=123.0,
        cpu="a processor",
        at=1000.0,
    )
    SqlExaminationTables(database).add(found)
    database.dispose()


def test_an_empty_gallery_says_what_to_do(web_page, front):
    serve(web_page, front)
    expect(web_page.locator("#champion")).to_contain_text("Nobody answers yet")
    expect(web_page.locator("#gallery")).to_contain_text("Every run adds its winner here")


def test_the_champion_answers_and_another_is_promoted_with_the_keyboard_alone(
    web_page, front, file
):
    _, second = networks(front)
    serve(web_page, front)
    web_page.set_input_files("#pick-pictures", file)
    answer = web_page.locator("#answers .answer")
    expect(answer.locator(".first")).to_contain_text("dark")
    web_page.locator(f"[data-focus='{second}']").press("Enter")
    expect(web_page.locator("#gallery-said")).to_contain_text("answers from now on")
    assert front.gallery.champion("digits").network == second
    web_page.set_input_files("#pick-pictures", file)
    expect(answer.first.locator(".first")).to_contain_text("bright")
    photograph(web_page, "serve")


def test_another_network_is_asked_without_being_promoted(web_page, front, file):
    first, second = networks(front)
    serve(web_page, front)
    web_page.locator(".choices select").first.select_option(second)
    web_page.locator(".choices select").nth(1).select_option("1")
    web_page.set_input_files("#pick-pictures", file)
    expect(web_page.locator("#answers .bars li")).to_have_count(1)
    expect(web_page.locator("#answers .first")).to_contain_text("bright")
    assert front.gallery.champion("digits").network == first


def test_a_pasted_picture_is_classified_and_no_picture_is_refused(web_page, front, tmp_path):
    networks(front)
    serve(web_page, front)
    expect(web_page.locator("#gallery .badge")).to_have_text("champion")
    web_page.evaluate(
        """async () => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 8;
            const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
            const data = new DataTransfer();
            data.items.add(new File([blob], "pasted.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }"""
    )
    expect(web_page.locator("#answers .answer")).to_contain_text("pasted.png")
    expect(web_page.locator("#answers .first")).to_contain_text("dark")
    odd = tmp_path / "notes.png"
    odd.write_text("<script>no picture</script>")
    web_page.set_input_files("#pick-pictures", odd)
    expect(web_page.locator("#answers .fault")).to_be_visible()


def test_the_webcam_is_answered_live_and_nothing_of_it_is_kept(web_page, front):
    networks(front)
    web_page.add_init_script(WEBCAM)
    serve(web_page, front)
    with web_page.expect_request(lambda request: "/classify?" in request.url) as asked:
        web_page.click("text=Use the webcam")
    assert "record=false" in asked.value.url
    expect(web_page.locator(".live .first")).to_contain_text("dark")
    photograph(web_page, "serve-webcam")
    web_page.click("text=Stop the webcam")
    expect(web_page.locator(".live video")).to_be_hidden()
    web_page.goto(f"{front.url}/#serve/answers")
    expect(web_page.locator("#view-serve")).to_contain_text("Nothing was recorded")


def test_a_network_is_looked_into_named_and_not_yet_examined_is_said(web_page, front):
    first, second = networks(front)
    examined(front, second)
    serve(web_page, front, f"/{first}")
    expect(web_page.locator(".card")).to_contain_text("not examined yet")
    web_page.click(f"[data-focus='open-{second}']")
    card = web_page.locator(".card")
    expect(card.locator(".confusion tbody tr")).to_have_count(2)
    expect(card.locator(".mistakes li").first).to_have_text("bright taken for dark: 4 (40 %)")
    expect(card).to_contain_text("123 µs a picture on one thread of a processor")
    card.locator("[name=name]").fill("best-of-all")
    card.locator("text=Save").click()
    expect(card.locator("h2")).to_contain_text("best-of-all")
    expect(web_page.locator("#gallery")).to_contain_text("best-of-all")
    photograph(web_page, "serve-card")
    web_page.emulate_media(color_scheme="dark")
    assert serious_findings(web_page) == []


def test_a_canary_begins_is_ended_and_a_promotion_is_rolled_back(web_page, front):
    first, second = networks(front)
    serve(web_page, front)
    web_page.click(f"[data-focus='trial-{second}']")
    dialog = web_page.locator("dialog[open]")
    dialog.locator("input[type=number]").fill("25")
    dialog.locator("text=Begin").click()
    expect(web_page.locator("#gallery-said")).to_contain_text("The canary of")
    web_page.click(".tabs >> text=Trials")
    panel = web_page.locator("#view-serve")
    expect(panel).to_contain_text("25 % of the requests")
    photograph(web_page, "serve-trials")
    web_page.click("text=End it")
    web_page.locator("dialog[open] >> text=End it").last.click()
    expect(panel).to_contain_text("stopped")
    front.gallery.promote("digits", second)
    web_page.click(".tabs >> text=Ask and choose")
    web_page.click(f"[data-focus='back-{second}']")
    web_page.click("dialog[open] .danger")
    expect(web_page.locator("#gallery-said")).to_contain_text("answers again")
    assert front.gallery.champion("digits").network == first
    web_page.click(".tabs >> text=Trials")
    expect(panel).to_contain_text(f"instead of {second[:10]}")


def test_a_correction_on_the_page_is_a_label_of_the_next_snapshot(browser, house, file, tmp_path):
    for seed, category in enumerate(("bright", "dark")):
        house.sensory.upload("digits", png_files(20, seed=100 * seed), category)
    snapshot = house.sensory.freeze("digits", FreezeRequest())
    card = network_card(
        house.blobs, always(0), snapshot=snapshot.id, categories=snapshot.categories
    )
    network = house.gallery.register(card)
    house.gallery.promote("digits", network)
    said, other = (category.name for category in snapshot.categories)
    second = tmp_path / "second.png"
    second.write_bytes(png_bytes(seed=998))
    with opened(browser, house.url) as page:
        page.goto(f"{house.url}/#serve")
        page.set_input_files("#pick-pictures", file)
        answer = page.locator("#answers .answer")
        expect(answer.locator(".first")).to_contain_text(said)
        answer.locator("text=Wrong? Correct it").click()
        answer.get_by_role("button", name=other).click()
        expect(answer).to_contain_text(f"it is {other} now", timeout=40_000)
        page.set_input_files("#pick-pictures", second)
        expect(answer).to_have_count(2)
        expect(answer.first.locator("button")).to_be_visible()
        # Where everything is listed that was answered, it is corrected by a word of one's own.
        page.goto(f"{house.url}/#serve/answers?corrected=false")
        listed = page.locator(".history .answer")
        expect(listed).to_have_count(1)
        listed.locator("text=Wrong? Correct it").click()
        listed.locator("input").fill("<i>grey")
        listed.locator("text=Correct").last.click()
        expect(listed).to_contain_text("it is <i>grey now", timeout=40_000)
        photograph(page, "serve-answers")
        page.locator("select").last.select_option("true")
        expect(listed).to_have_count(2)
        # The real job worker examined the network meanwhile.
        page.goto(f"{house.url}/#serve/{network}")
        expect(page.locator(".confusion tbody tr")).to_have_count(2, timeout=60_000)
        photograph(page, "serve-examined")
    after = house.sensory.freeze("digits", FreezeRequest())
    assert sum(after.counts.values()) == sum(snapshot.counts.values()) + 2
    assert {one.name for one in after.categories} == {"bright", "dark", "<i>grey"}


@pytest.mark.parametrize("place", ["", "/trials", "/answers"])
def test_no_tab_is_wider_than_a_phone(browser: Browser, front: Front, file: Path, place: str):
    first, _ = networks(front)
    examined(front, first)
    with opened(browser, front.url, viewport=PHONE) as page:
        page.goto(f"{front.url}/#serve")
        page.set_input_files("#pick-pictures", file)
        expect(page.locator("#answers .first")).to_be_visible()
        page.goto(f"{front.url}/#serve{place or '/' + first}")
        expect(page.locator("#view-serve .tabs a[aria-current]")).to_be_visible()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert serious_findings(page) == []
        photograph(page, f"phone-serve-{place.strip('/') or 'card'}")
