"""The page over the real services of one data folder: how tests start, open and look at it."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import FileWrapper

from benchmarks import web_browser
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import Caller, GalleryClient, SensoryClient
from dicebox.front import create_front
from sensory_service.app import Settings
from tests.nginx_site import SERVICES, started_nginx
from tests.servers import missing_program

# What the browser saw is left here to be looked at.
ARTIFACTS = Path(__file__).parent / "artifacts"
WIDE = {"width": 1200, "height": 860}
PHONE = {"width": 360, "height": 740}


@dataclass(frozen=True)
class Front:
    """The services of one data folder behind one address, and clients of them."""

    url: str
    data: Path
    sensory: SensoryClient
    gallery: GalleryClient
    blobs: FileBlobs

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Give Chromium with further command-line flags; without one the test is skipped or fails."""
    if shutil.which("chromium") is None:
        missing_program("chromium")
    with web_browser.chromium(*flags) as browser:
        yield browser


class Closing(WSGIRequestHandler):
    """Closes a file that is being sent when its reader leaves, as the product's servers do."""

    def make_environ(self) -> Any:
        self.sent: list[FileWrapper] = []
        return {**super().make_environ(), "wsgi.file_wrapper": self._opened}

    def _opened(self, *what: Any) -> FileWrapper:
        self.sent.append(FileWrapper(*what))
        return self.sent[-1]

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        super().connection_dropped(error, environ)
        for file in self.sent:
            file.close()


@contextmanager
def served_front(
    data: Path, *, port: int = 0, settings: Settings | None = None, wsgi: Any = None
) -> Iterator[Front]:
    """Serve a data folder in this process, without batch processor, runs and job worker.

    Args:
        data: The data folder.
        port: Where; 0 takes a free one.
        settings: Those of the sensory service; default: nobody is asked for a key.
        wsgi: Wraps the application, where a test has to be in between.
    """
    app = create_front(data, watch=False, settings=settings)
    application = wsgi(app) if wsgi else app
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=Closing)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    url = f"http://127.0.0.1:{server.port}"
    try:
        with clients(url, data) as front:
            yield front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def clients(url: str, data: Path) -> Iterator[Front]:
    """Give what talks to a house that runs somewhere."""
    with httpx.Client(base_url=url, timeout=30.0) as http:
        caller = Caller(http)
        yield Front(
            url, data, SensoryClient(caller), GalleryClient(caller), FileBlobs(data / "blobs")
        )


@contextmanager
def behind_nginx(folder: Path, front: Front, **settings: object) -> Iterator[str]:
    """Put the real nginx, which serves the page itself, before a house; give its address."""
    places = dict.fromkeys(SERVICES, f"127.0.0.1:{front.port}")
    with started_nginx(folder, places, **settings) as site:
        yield site.url


@contextmanager
def opened(
    browser: Browser,
    url: str,
    *,
    expected: Callable[[str], bool] = lambda _: False,
    **context: Any,
) -> Iterator[Page]:
    """Open the page in a context of its own; at the end nothing may have gone wrong in it.

    What goes wrong: an error of a script, a line about the content policy, a request to another
    host. `expected(text)` says of which faults the test knows.
    """
    home = url.split("#", maxsplit=1)[0]
    kept = browser.new_context(**{"viewport": WIDE, **context})
    page = kept.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda line: faults.append(line.text) if "Content Security" in line.text else None,
    )
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((home, "blob:")) else faults.append(request.url)
        ),
    )
    page.goto(url)
    yield page
    kept.close()
    assert [fault for fault in faults if not expected(fault)] == []


def photograph(page: Page, name: str) -> None:
    """Leave a picture of the whole page among the artifacts."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def serious_findings(page: Page) -> list[str]:
    """Return what axe-core finds of serious or critical impact, a line each."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - wants Playwright

    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['help']}: {json.dumps([node['html'][:200] for node in one['nodes']])}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
