"""Chromium as a person's browser, and what is looked at inside of the page while it works."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.processes import Sampler
from commons.errors import NotFoundError, UnavailableError

_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_EVERY_S = 0.2
_POLL_MS = 20
# Keys that were pressed, labels that were answered, frames, and pieces of work without a pause.
_MONITOR = """
    window.seen = { keys: [], durable: [], longest: 0, tasks: [] };
    addEventListener("keydown", (event) => {
        if (/^\\d$/.test(event.key)) seen.keys.push(performance.now());
    }, true);
    const plain = window.fetch;
    window.fetch = async (where, options) => {
        const response = await plain(where, options);
        const { pathname } = new URL(where, location);
        if (options?.method === "POST" && pathname.endsWith("/labels") && response.ok) {
            const at = performance.now();
            for (const _ of JSON.parse(options.body).labels) seen.durable.push(at);
        }
        return response;
    };
    let last = null;
    const frame = (now) => {
        if (last !== null) seen.longest = Math.max(seen.longest, now - last);
        last = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new PerformanceObserver((list) => {
        for (const one of list.getEntries()) seen.tasks.push(one.duration);
    }).observe({ entryTypes: ["longtask"] });
"""


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Give Chromium as the system has it, without a window, with further command-line flags.

    Raises:
        NotFoundError: It is not installed.
    """
    found = shutil.which("chromium")
    if found is None:
        raise NotFoundError("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*_FLAGS, *flags])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Browser, address: str) -> Iterator[Page]:
    """Open an address in a fresh context, with `window.seen` from its first moment on."""
    context = browser.new_context(viewport={"width": 1200, "height": 860})
    page = context.new_page()
    page.add_init_script(_MONITOR)
    page.goto(address)
    yield page
    context.close()


def drop(page: Page, selector: str, *paths: Path) -> None:
    """Drag files or folders of this machine over an element and let them go there."""
    box = page.locator(selector).bounding_box()
    if box is None:
        raise NotFoundError(f"{selector} is not to be seen on the page")
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    hand = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        hand.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
    hand.detach()


def forget_frames(page: Page) -> None:
    """Let the longest frame and the longest task count from now on."""
    page.evaluate("() => { seen.longest = 0; seen.tasks = []; }")


def smoothness(page: Page) -> dict[str, float]:
    """Return the longest frame and the longest task in milliseconds."""
    found: dict[str, Any] = page.evaluate("({ frame: seen.longest, tasks: seen.tasks })")
    return {
        "longest_frame_ms": float(found["frame"]),
        "longest_task_ms": max(map(float, found["tasks"]), default=0.0),
    }


class RendererSize(Sampler):
    """Samples the largest of the browser's renderers.

    Its size is what it alone holds (USS): pages of the browser's libraries are shared.
    """

    def __init__(self) -> None:
        super().__init__(_EVERY_S)
        self.peak_bytes = 0

    def _sample(self, _seconds: float) -> None:
        sizes = map(_own_bytes, psutil.Process().children(recursive=True))
        self.peak_bytes = max(self.peak_bytes, max(sizes, default=0))


def _own_bytes(process: psutil.Process) -> int:
    try:
        is_renderer = any("--type=renderer" in word for word in process.cmdline())
        return int(process.memory_full_info().uss) if is_renderer else 0
    except psutil.Error:  # it is gone
        return 0


def wait_for(page: Page, condition: str, timeout_s: float) -> None:
    """Return when an expression of the page is true.

    Playwright's own waiting evaluates text within the page, which its policy forbids.

    Raises:
        UnavailableError: It did not become true in time.
    """
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise UnavailableError(f"it did not come true in {timeout_s:.0f} s: {condition}")
        page.wait_for_timeout(_POLL_MS)
