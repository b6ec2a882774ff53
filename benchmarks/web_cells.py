"""What is measured of the page: its start, labels, uploads, a large drop and a large run."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.frame import Options
from benchmarks.installation import fresh_dicebox
from benchmarks.web_browser import (
    RendererSize,
    chromium,
    drop,
    forget_frames,
    smoothness,
    wait_for,
    watched,
)
from benchmarks.web_run import RUN, WrittenRun, served
from commons.errors import UnavailableError
from dicebox.client import Client

DATASET = "made-up"
VIEWS = ("collect", "label", "browse", "evolve", "serve", "admin")
_SERIOUS = ("serious", "critical")
_PATIENCE_S = 900.0
_ALL_SEEN = "[...document.querySelectorAll('[role=option] img')].every((one) => one.complete)"
_POLL_S = 0.05
Figures = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """Counts of one run of the benchmark.

    Args:
        loads: How often the page is loaded with an empty cache.
        keys: Images that are labeled by a key each.
        grid: Images that are labeled by the grid, as many at a time as it shows.
        uploads: Images that are sent by the page.
        dropped: Files in one large folder.
        individuals: Those of the run that is watched.
    """

    loads: int
    keys: int
    grid: int
    uploads: int
    dropped: int
    individuals: int


FULL = Sizes(5, 200, 1000, 10_000, 100_000, 1000)
QUICK = Sizes(1, 10, 40, 100, 300, 60)


def pictures(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write PNGs of 28x28 random pixels, no two alike, and return where they are."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    paths = [folder / f"{number:06d}.png" for number in range(count)]
    for path, values in zip(paths, pixels, strict=True):
        Image.fromarray(values).save(path, compress_level=1)
    return paths


def measure_start(options: Options, sizes: Sizes) -> Figures:
    """Load the page with an empty cache, then open every view of it."""
    with fresh_dicebox(options.work) as (running, _), chromium() as browser:
        paints = [_paint_ms(browser, running.url) for _ in range(sizes.loads)]
        return {"paint_ms": median(paints), "paints_ms": paints} | _visit(browser, running.url)


def _paint_ms(browser: Browser, url: str) -> float:
    with watched(browser, url) as page:
        page.wait_for_selector("#view-collect h1")
        found = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        return float(found)


def _visit(browser: Browser, url: str) -> Figures:
    """Return what all views together fetch, from where, and what axe-core says of them."""
    foreign: list[str] = []
    findings: dict[str, list[str]] = {}
    with watched(browser, "about:blank") as page:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        sizes: dict[str, int] = {}

        def done(event: Any) -> None:
            sizes[event["requestId"]] = int(event["encodedDataLength"])

        session.on("Network.loadingFinished", done)
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((url, "about:", "blob:", "data:"))
                else foreign.append(request.url)
            ),
        )
        page.goto(url)
        for view in VIEWS:
            page.goto(f"{url}/#{view}")
            page.wait_for_selector(f"#view-{view} h1")
            page.wait_for_timeout(500)
            found = Axe().run(page).response["violations"]
            findings[view] = [one["id"] for one in found if one["impact"] in _SERIOUS]
        fetched = sum(sizes.values())
    serious = sum(map(len, findings.values()))
    return {"bytes": fetched, "foreign": foreign, "axe": findings, "serious": serious}


def measure_labels(options: Options, sizes: Sizes) -> Figures:
    """Label by a key for each image, and then by a key for all that the grid shows."""
    total = sizes.keys + sizes.grid
    with (
        fresh_dicebox(options.work) as (running, client),
        TemporaryDirectory(dir=options.work) as folder,
    ):
        _fill(client, pictures(Path(folder) / "unlabeled", total))
        with chromium() as browser, watched(browser, f"{running.url}/#label/{DATASET}") as page:
            keys = _by_key(page, sizes.keys)
            page.goto(f"{running.url}/#label/{DATASET}?grid=1")
            grid = _by_grid(page, sizes.keys, total)
        labeled = client.sensory.dataset(DATASET).labeled - len(CATEGORIES)
    if labeled != total:
        raise UnavailableError(f"{labeled} of {total} labels reached the service")
    return {"keys": keys, "grid": grid}


CATEGORIES = ("bright", "dark")


def _fill(client: Client, paths: list[Path]) -> None:
    """Store images without a label, and one of each category so that there are keys."""
    for number, category in enumerate(CATEGORIES):
        image = Image.new("L", (28, 28), 255 * (1 - number))
        path = paths[0].parent / f"{category}.png"
        image.save(path)
        client.sensory.upload(DATASET, [(path.name, path.read_bytes())], category)
    for start in range(0, len(paths), 128):
        files = [(path.name, path.read_bytes()) for path in paths[start : start + 128]]
        client.sensory.upload(DATASET, files, None)


def _by_key(page: Page, count: int) -> Figures:
    for number in range(count):
        # As a person, who sees the image first: a key that comes before it labels nothing.
        page.wait_for_selector(".large[data-image]")
        image = page.get_attribute(".large", "data-image")
        page.keyboard.press(str(1 + number % 2))
        wait_for(
            page, f"document.querySelector('.large')?.dataset.image !== '{image}'", _PATIENCE_S
        )
    wait_for(page, f"seen.durable.length >= {count}", _PATIENCE_S)
    pressed, durable = page.evaluate("[seen.keys, seen.durable]")
    return spoken(pressed[:count], durable[:count])


def _by_grid(page: Page, before: int, total: int) -> Figures:
    started = time.monotonic()
    known = before
    page.evaluate("seen.keys = []")
    delays: list[float] = []
    while known < total:
        page.wait_for_selector("[role=option]:not([aria-disabled=true])")
        # As a person, who sees the images first.
        wait_for(page, _ALL_SEEN, _PATIENCE_S)
        page.keyboard.press("Control+a")
        page.keyboard.press("1")
        wait_for(page, f"seen.durable.length > {known}", _PATIENCE_S)
        page.wait_for_timeout(50)
        pressed, durable = page.evaluate("[seen.keys, seen.durable]")
        delays += [at - pressed[-1] for at in durable[known:]]
        known = len(durable)
    seconds = time.monotonic() - started
    return {"per_minute": 60 * (total - before) / seconds} | quantiles(delays)


def spoken(pressed: list[float], durable: list[float]) -> Figures:
    """Return how many labels a minute came of keys, and how long each took to be durable.

    Args:
        pressed: When each key was pressed, in milliseconds.
        durable: When the label of each was answered; the service answers in the same order.
    """
    delays = [at - since for since, at in zip(pressed, durable, strict=True)]
    seconds = (durable[-1] - pressed[0]) / 1000
    return {"per_minute": 60 * len(pressed) / seconds} | quantiles(delays)


def quantiles(milliseconds: list[float]) -> Figures:
    """Return the median and the 95th percentile."""
    return {
        "p50_ms": float(np.quantile(milliseconds, 0.5)),
        "p95_ms": float(np.quantile(milliseconds, 0.95)),
    }


def measure_uploads(options: Options, sizes: Sizes) -> Figures:
    """Choose many files at once and wait until the service has them all."""
    with (
        fresh_dicebox(options.work) as (running, client),
        TemporaryDirectory(dir=options.work) as folder,
    ):
        paths = pictures(Path(folder) / "some", sizes.uploads)
        with chromium() as browser, watched(browser, running.url) as page:
            page.fill("[name=dataset]", DATASET)
            page.fill("[name=category]", "some")
            page.set_input_files("#pick-files", paths)
            started = time.monotonic()
            _until_stored(client, sizes.uploads, page)
            seconds = time.monotonic() - started
    return {"files": sizes.uploads, "per_second": sizes.uploads / seconds}


def measure_drop(options: Options, sizes: Sizes) -> Figures:
    """Give the page a folder of very many files; watch the tab's memory and whether it answers.

    Once it is dropped, once chosen. What the browser needs for a choice, whatever is done with
    it, is measured on a page with nothing but the field.
    """
    options.work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=options.work) as work:
        folder = Path(work) / "drop"
        pictures(folder / "some", sizes.dropped)
        return {
            "files": sizes.dropped,
            "dropped": _given(options, sizes, lambda page: drop(page, "#upload-drop", folder)),
            "chosen": _given(
                options, sizes, lambda page: page.set_input_files("#pick-folder", folder)
            ),
            "bare": _bare_choice(folder),
        }


def _given(options: Options, sizes: Sizes, give: Callable[[Page], None]) -> Figures:
    with (
        fresh_dicebox(options.work) as (running, client),
        chromium() as browser,
        RendererSize() as size,
        watched(browser, running.url) as page,
    ):
        page.fill("[name=dataset]", DATASET)
        forget_frames(page)
        started = time.monotonic()
        give(page)
        _until_stored(client, sizes.dropped, page)
        seconds = time.monotonic() - started
        return {"seconds": seconds, "peak_bytes": size.peak_bytes} | smoothness(page)


def _bare_choice(folder: Path) -> Figures:
    page_file = folder.parent / "bare.html"
    page_file.write_text("<input type=file webkitdirectory>", encoding="utf-8")
    with (
        chromium() as browser,
        RendererSize() as size,
        watched(browser, page_file.as_uri()) as page,
    ):
        page.set_input_files("input", folder)
        page.wait_for_timeout(1000)
        return {"peak_bytes": size.peak_bytes} | smoothness(page)


def _until_stored(client: Client, count: int, page: Page) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        found = [one for one in client.sensory.datasets() if one.name == DATASET]
        if found and found[0].images >= count:
            return
        if time.monotonic() > deadline:
            stored = found[0].images if found else 0
            raise UnavailableError(f"{stored} of {count} images were stored in time")
        # So that the browser's own events are taken in the meantime.
        page.wait_for_timeout(1000 * _POLL_S)


def measure_run(options: Options, sizes: Sizes, per_second: float = 25.0) -> Figures:
    """Watch a run into which individuals are born faster than on one machine."""
    options.work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=options.work) as folder, served(Path(folder)) as url:
        run = WrittenRun(Path(folder))
        writer = threading.Thread(target=run.write, args=(sizes.individuals, per_second))
        with chromium() as browser, watched(browser, f"{url}/#evolve/{RUN}") as page:
            page.wait_for_selector(".mode.live")
            forget_frames(page)
            started = time.monotonic()
            writer.start()
            page.wait_for_selector("#run-view .badge:text('complete')", timeout=1000 * _PATIENCE_S)
            seconds = time.monotonic() - started
            smooth = smoothness(page)
            writer.join()
    return {"individuals": sizes.individuals, "seconds": seconds, "cpus": os.cpu_count()} | smooth
