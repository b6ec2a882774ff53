"""What the tests of the command share: a Dicebox of their own, and one demo for all."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.builders import png_bytes
from tests.dicebox_processes import Dicebox, Ended
from tests.web_house import Front, chromium, clients, opened, served_front

# Two workers must import TensorFlow and train one candidate each, also where others work too.
DEMO_SECONDS = 30


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Let SIGINT reach the children also where this process was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def dicebox(tmp_path: Path) -> Iterator[Dicebox]:
    """Give a Dicebox on a fresh data folder."""
    box = Dicebox(tmp_path / "data")
    yield box
    box.end()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dicebox, Ended]]:
    """Give a Dicebox in which a short demo went from end to end, and how that ended."""
    box = Dicebox(tmp_path_factory.mktemp("demo") / "data")
    yield box, box.run("demo", "--exit", "--json", "--seconds", DEMO_SECONDS, "--port", 0)
    box.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give Chromium, as the system has it."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def box(dicebox: Dicebox, tmp_path: Path) -> Dicebox:
    """Give a Dicebox with a dataset of bright and dark pictures."""
    for number, category in enumerate(("bright", "dark")):
        folder = tmp_path / "photos" / category
        folder.mkdir(parents=True)
        for seed in range(20):
            (folder / f"{seed}.png").write_bytes(png_bytes(seed=100 * number + seed))
    assert dicebox.run("import", tmp_path / "photos", "--dataset", "photos").code == 0
    return dicebox


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """Give the services of an empty data folder, served by this process."""
    with served_front(tmp_path / "data") as front:
        yield front


@pytest.fixture
def web_page(browser: Browser, front: Front) -> Iterator[Page]:
    """Give the page of `front` in a browser; at the end nothing may have gone wrong in it."""
    with opened(browser, front.url) as page:
        yield page


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Give what `dicebox up` starts, all of it, on an empty data folder; one for a module."""
    box = Dicebox(tmp_path_factory.mktemp("house") / "data")
    _, url = box.up()
    with clients(url, box.data) as front:
        yield front
    box.end()
