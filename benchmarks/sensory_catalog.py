"""A catalog of a million rows: counts, pages and snapshots, asked over HTTP."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from sqlalchemy import Connection, Engine, Executable, func, select, text

from benchmarks.frame import Findings, Options
from benchmarks.installation import free_port
from benchmarks.rows import Row, at_most
from benchmarks.sensory_rows import DATASET_NAME, LAST_S, RARE, STEP_S, fill, relabel_some
from benchmarks.sensory_sizes import Sizes
from commons.adapters.clock import SystemClock
from commons.adapters.services import SENSORY
from commons.errors import UnavailableError
from sensory_service.adapters.tables import MEMBERSHIP
from sensory_service.app import Settings, create_platform

_READY_S = 60.0
_PATIENCE_S = 120.0
_DEEP = 5  # pages into an answer
_WHOLE = "all"
# Some are rare where the others are many: an index on one of them alone does not help.
_FILTERS: dict[str, dict[str, str]] = {
    _WHOLE: {},
    "category": {"category": "c3"},
    "a rare category": {"category": RARE},
    "labeled": {"labeled": "true"},
    "not labeled": {"labeled": "false"},
    "who": {"who": "ada"},
    "a rare who": {"who": RARE},
    "since": {"since": "{middle}"},
    "until": {"until": "{middle}"},
    "category, who": {"category": "c3", "who": "ada"},
    "category, a rare who": {"category": "c3", "who": RARE},
    "a rare category, who": {"category": RARE, "who": "ada"},
    "category, a moment": {"category": "c3", "since": "{middle}", "until": "{soon}"},
    "a rare category, until": {"category": RARE, "until": "{middle}"},
    "who, since": {"who": "ada", "since": "{middle}"},
    "a rare who, until": {"who": RARE, "until": "{middle}"},
    "labeled, until": {"labeled": "true", "until": "{middle}"},
    "not labeled, until": {"labeled": "false", "until": "{middle}"},
    "not labeled, a rare who": {"labeled": "false", "who": RARE},
    "all four": {"category": "c3", "labeled": "true", "who": "ada", "until": "{middle}"},
    "all four, rare": {"category": "c3", "labeled": "true", "who": RARE, "until": "{middle}"},
}


def measure(options: Options, sizes: Sizes, _archive: Path) -> Findings:
    """Fill the tables, and ask the service, alone on its data folder."""
    houses = options.work / "houses"
    houses.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=houses) as folder:
        settings = Settings(data=Path(folder))
        database = create_platform(settings, SystemClock()).database
        options.say(f"making {sizes.rows:,} rows")
        fill(database, sizes.rows)
        with _served(Path(folder)) as http:
            figures = {
                "rows": sizes.rows,
                "counts_ms": _counts(http, sizes.questions),
                "pages_ms": _pages(http, sizes),
                **_snapshots(http, database, sizes),
            }
        figures |= _alone(database, sizes)
        database.dispose()
    return Findings(summary(figures), details=figures)


def summary(figures: Mapping[str, Any]) -> list[Row]:
    """Return the rows."""
    goal = at_most(50)
    alone = {"best_peer": figures["sql_page_ms"], "peer": "the same page by SQL alone"}
    copied = {"best_peer": figures["sql_copy_s"], "peer": "its rows copied by SQL alone"}
    pages: dict[str, list[float]] = figures["pages_ms"]
    slowest = max(pages, key=lambda name: median(pages[name]))
    counts = figures["counts_ms"]
    rows = [
        Row(
            f"counts of {figures['rows']:,} images, median",
            "ms",
            median(counts),
            figures["sql_counts_ms"],
            "counting by SQL alone",
            goal,
        ),
        Row("counts, slowest", "ms", max(counts), goal=goal),
    ]
    rows += [
        Row(
            f"a page of 100: {name}",
            "ms",
            median(took),
            goal=goal,
            **(alone if name == _WHOLE else {}),
        )
        for name, took in pages.items()
    ]
    return [
        *rows,
        Row(f"slowest filter, median ({slowest})", "ms", median(pages[slowest]), goal=goal),
        Row("slowest page of all", "ms", max(map(max, pages.values())), goal=goal),
        Row("first snapshot", "s", figures["first_freeze_s"], goal=at_most(10), **copied),
        Row("second snapshot, 1 % relabeled", "s", figures["second_freeze_s"], goal=at_most(10)),
        Row("the same snapshot again", "s", figures["same_freeze_s"], goal=at_most(10)),
    ]


def _counts(http: httpx.Client, times: int) -> list[float]:
    return [
        _asked(http, path)[0]
        for _ in range(times)
        for path in (f"/datasets/{DATASET_NAME}", "/datasets")
    ]


def _pages(http: httpx.Client, sizes: Sizes) -> dict[str, list[float]]:
    middle = LAST_S - sizes.rows * STEP_S / 2
    times = {"{middle}": f"{middle}", "{soon}": f"{middle + sizes.rows * STEP_S / 1000}"}
    took: dict[str, list[float]] = {}
    for name, chosen in _FILTERS.items():
        filters = {key: times.get(value, value) for key, value in chosen.items()}
        took[name] = [one for _ in range(sizes.questions) for one in _some_pages(http, filters)]
    return took


def _some_pages(http: httpx.Client, filters: dict[str, str]) -> Iterator[float]:
    """Yield the milliseconds of the first pages of an answer."""
    cursor: dict[str, str] = {}
    for _ in range(_DEEP):
        took, body = _asked(http, f"/datasets/{DATASET_NAME}/images", filters | cursor)
        yield took
        if body["cursor"] is None:
            return
        cursor = {"cursor": body["cursor"]}


def _snapshots(http: httpx.Client, database: Engine, sizes: Sizes) -> dict[str, float]:
    """Return the seconds of three freezes; the last one finds nothing new."""
    first = _frozen(http)
    relabel_some(database, sizes.rows // 100)
    return {
        "first_freeze_s": first,
        "second_freeze_s": _frozen(http),
        "same_freeze_s": _frozen(http),
    }


def _frozen(http: httpx.Client) -> float:
    started = time.perf_counter()
    http.post(f"/datasets/{DATASET_NAME}/snapshots", json={}).raise_for_status()
    return time.perf_counter() - started


def _alone(database: Engine, sizes: Sizes) -> dict[str, float]:
    """Return the times of the same work on the same tables by statements and nothing else."""
    held = MEMBERSHIP.c.dataset == 1
    counts = select(MEMBERSHIP.c.category, func.count()).where(held).group_by("category")
    page = select(MEMBERSHIP).where(held).order_by(MEMBERSHIP.c.id.desc()).limit(100)
    labeled = select(MEMBERSHIP.c.image, MEMBERSHIP.c.category, MEMBERSHIP.c.split)
    rows = labeled.where(held, MEMBERSHIP.c.category.is_not(None)).order_by(MEMBERSHIP.c.image)
    with database.connect() as connection:
        sql = rows.compile(connection, compile_kwargs={"literal_binds": True})
        copy = text(f"CREATE TABLE copied AS {sql}")
        return {
            "sql_counts_ms": median(_executed(connection, counts) for _ in range(3)),
            "sql_page_ms": median(_executed(connection, page) for _ in range(sizes.questions)),
            "sql_copy_s": _executed(connection, copy) / 1000,
        }


def _executed(connection: Connection, statement: Executable) -> float:
    """Return the milliseconds of a statement with its rows, or with the sync of what it wrote."""
    started = time.perf_counter()
    result = connection.execute(statement)
    if result.returns_rows:
        result.all()
    connection.commit()
    return 1000 * (time.perf_counter() - started)


def _asked(
    http: httpx.Client, path: str, filters: Mapping[str, str] | None = None
) -> tuple[float, Any]:
    started = time.perf_counter()
    reply = http.get(path, params=filters).raise_for_status()
    return 1000 * (time.perf_counter() - started), reply.json()


@contextmanager
def _served(folder: Path) -> Iterator[httpx.Client]:
    """Give a client of the sensory service by itself; no batch processor packs beside it."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--blocking-threads", "16", "sensory_service.wsgi:app"],
        env={**os.environ, "DICEBOX_DATA": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}{SENSORY}"
    try:
        with httpx.Client(base_url=base, timeout=_PATIENCE_S) as http:
            _wait_until_ready(http)
            yield http
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_until_ready(http: httpx.Client) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            if http.get("/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise UnavailableError("the sensory service was not ready in time")
