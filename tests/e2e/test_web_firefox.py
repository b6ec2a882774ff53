"""A smoke test of the page in Firefox, driven by its own Marionette: no other driver is needed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import png_files
from tests.dicebox_processes import until
from tests.onnx_builders import network_card
from tests.servers import missing_program
from tests.web_house import ARTIFACTS

pytestmark = [
    pytest.mark.e2e,
    # Mozilla's library leaves sockets open while it waits for the browser.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator:
    """Give a session of Firefox without a window."""
    program = shutil.which("firefox-esr")
    if program is None:
        missing_program("firefox-esr")
    from marionette_driver.marionette import Marionette  # noqa: PLC0415 - warns when imported

    session = Marionette(
        bin=program, headless=True, port=0, startup_timeout=60, gecko_log=str(tmp_path / "log")
    )
    session.start_session()
    yield session
    session.quit()
    session.cleanup()


def test_pictures_are_stored_labeled_and_classified_in_firefox(
    firefox, front, tmp_path: Path
) -> None:
    def text(selector: str) -> str:
        return firefox.execute_script(
            "return document.querySelector(arguments[0])?.innerText ?? ''", [selector]
        )

    def says(selector: str, words: str) -> Callable[[], bool]:
        return lambda: words in text(selector)

    def find(selector: str):
        return firefox.find_element("css selector", selector)

    files = [tmp_path / name for name, _ in png_files(6)]
    for path, (_, data) in zip(files, png_files(6), strict=True):
        path.write_bytes(data)
    front.sensory.upload("pets", png_files(2, seed=50), "cats")
    front.sensory.upload("pets", png_files(2, seed=60), "dogs")
    firefox.navigate(front.url)
    until(says("#dataset-counts", "4 images"))
    assert not firefox.execute_script("return document.querySelector('#pick-files').disabled")
    for path in files:
        find("#pick-files").send_keys(str(path))
    until(says("#dataset-counts", "10 images"))
    assert front.sensory.dataset("pets").images == 10

    firefox.navigate(f"{front.url}/#label")
    until(lambda: firefox.execute_script("return !!document.querySelector('.large[data-image]')"))
    find("body").send_keys("1")
    until(lambda: front.sensory.dataset("pets").labeled == 5)

    front.gallery.promote("pets", front.gallery.register(network_card(front.blobs, dataset="pets")))
    firefox.navigate(f"{front.url}/#serve")
    until(says("#gallery", "champion"))
    find("#pick-pictures").send_keys(str(files[0]))
    until(says("#answers", files[0].name))
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / "firefox-serve.png").write_bytes(firefox.screenshot(format="binary"))
    for view in ("browse", "evolve", "admin", "collect"):
        firefox.navigate(f"{front.url}/#{view}")
        until(says(f"#view-{view} h1", view.capitalize()))
    assert text("#outages") == ""
