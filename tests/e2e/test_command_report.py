"""`dicebox report` of a real run, and the file in a real browser without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dicebox_processes import Dicebox, Ended
from tests.web_house import ARTIFACTS

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


@pytest.fixture(scope="module")
def report(
    demo: tuple[Dicebox, Ended], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Ended]:
    """Give the report of the demo's run, and how the command ended."""
    box, end = demo
    assert end.code == 0, end.err
    folder = tmp_path_factory.mktemp("report")
    logs = ("--tensorboard", folder / "logs")
    return folder, box.run("report", "-o", folder / "report.html", *logs, "--json")


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give a page that reaches nothing, and fail if anything was refused or asked for."""
    context = browser.new_context(offline=True, color_scheme=request.param)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text))
    page.on(
        "request",
        lambda asked: (
            None if asked.url.startswith(("file:", "data:")) else faults.append(asked.url)
        ),
    )
    yield page
    context.close()
    assert faults == []


def test_the_report_of_a_run_is_written_with_its_logs(
    report: tuple[Path, Ended], demo: tuple[Dicebox, Ended]
) -> None:
    folder, end = report
    assert end.code == 0, end.err
    assert end.err == ""
    run = demo[1].json["run"]
    assert end.json == {
        "run": run,
        "file": str(folder / "report.html"),
        "tensorboard": str(folder / "logs" / run),
    }
    assert [file.name for file in folder.iterdir() if file.suffix == ".part"] == []
    assert len(list((folder / "logs" / run).iterdir())) >= demo[1].json["candidates"] >= 1


def test_the_file_opens_without_a_network_and_shows_the_run(
    page: Page, report: tuple[Path, Ended], demo: tuple[Dicebox, Ended]
) -> None:
    page.goto((report[0] / "report.html").as_uri())
    expect(page.locator("h1")).to_contain_text("digits")
    expect(page.locator(".badge")).to_have_text("complete")
    accuracy = f"{100 * demo[1].json['validation_accuracy']:.2f} %"
    expect(page.locator(".tile").first).to_contain_text(accuracy)
    expect(page.locator("#answers")).to_contain_text("the 269 validation images")
    expect(page.locator(".matrix tbody tr")).to_have_count(10)
    expect(page.locator("#anytime svg.plot use title").first).to_contain_text("#")
    # The style came through the policy.
    assert page.evaluate("getComputedStyle(document.querySelector('.tile')).borderRadius") == "14px"
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ink = "rgb(236, 238, 233)" if dark else "rgb(28, 31, 27)"
    words = page.locator("#anytime svg.plot text", has_text="best so far")
    assert words.evaluate("(text) => getComputedStyle(text).fill") == ink
    ARTIFACTS.mkdir(exist_ok=True)
    name = "report-dark" if dark else "report"
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def test_no_part_is_wider_than_a_phone(page: Page, report: tuple[Path, Ended]) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto((report[0] / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_report_comes_from_a_running_house_and_from_a_server_too(
    demo: tuple[Dicebox, Ended], tmp_path: Path
) -> None:
    box, end = demo
    _, url = box.up()
    run = end.json["run"]
    for number, place in enumerate(((), ("--url", url))):
        file = tmp_path / f"{number}.html"
        told = box.run(*place, "report", run[:6], "-o", file, "--images", 10)
        assert (told.code, told.out) == (0, f"{file}\n"), told.err
        assert "about 10 of the 269" in file.read_text(encoding="utf-8")
    box.end()
