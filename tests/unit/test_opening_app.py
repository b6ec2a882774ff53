"""A service whose database is not there yet lives, says so, and begins when it can."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.heartbeat_file import HeartbeatFile
from commons.adapters.opening_app import OpeningApp
from commons.adapters.patience import opened
from commons.errors import InvalidInputError, StorageFullError, UnavailableError
from tests.dicebox_processes import until
from tests.sensory_house import ManualClock


def greet(environ: dict, start_response: Callable) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


class Late:
    """Makes an application as soon as it may; remembers how often it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error or UnavailableError("the database failed: nobody is there")
        self.may = threading.Event()
        self.tries = 0

    def __call__(self) -> Callable:
        self.tries += 1
        if not self.may.is_set():
            raise self.error
        return greet


def asking(app: OpeningApp) -> httpx.Client:
    return httpx.Client(transport=httpx.WSGITransport(app), base_url="http://localhost")


class HastyClock(SystemClock):
    """A clock whose pauses are short."""

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.01))

    def monotonic(self) -> float:
        return 50 * time.monotonic()


def test_what_can_begin_at_once_is_the_application_and_no_more() -> None:
    late = Late()
    late.may.set()
    app = OpeningApp(late, ("/api/x",))
    app.begin()
    assert asking(app).get("/api/x/healthz").text == "/api/x/healthz"


def test_until_it_begins_it_lives_says_why_it_waits_and_refuses_the_rest() -> None:
    late = Late()
    app = OpeningApp(late, ("/api/x", "/api/admin"), HastyClock())
    app.begin()
    with asking(app) as http:
        for prefix in ("/api/x", "/api/admin"):
            assert http.get(f"{prefix}/healthz").json() == {"status": "alive"}
            ready = http.get(f"{prefix}/readyz")
            assert ready.status_code == 503
            assert ready.headers["Cache-Control"] == "no-store"
            assert ready.json() == {
                "ready": False,
                "missing": {"start": "the database failed: nobody is there"},
            }
        refused = http.post("/api/x/things", content=b"x" * 1000)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json()["type"] == "unavailable"
        assert "nobody is there" not in refused.text
        assert http.head("/api/x/things").content == b""
        assert http.get("/api/y/healthz").status_code == 503
        late.error = StorageFullError("no space is left for the database")
        until(lambda: "no space" in http.get("/api/x/readyz").text)
        late.may.set()
        until(lambda: http.get("/api/x/things").text == "/api/x/things")
        tries = late.tries
        http.get("/api/x/things")
        assert late.tries == tries


def test_what_no_waiting_helps_against_is_raised() -> None:
    with pytest.raises(InvalidInputError, match="no URL"):
        OpeningApp(Late(InvalidInputError("no URL")), ("/api/x",)).begin()


@pytest.mark.parametrize(
    ("error", "said"),
    [("InvalidInputError('no URL')", "cannot begin: no URL"), ("ValueError('a bug')", "a bug")],
)
def test_later_on_it_ends_the_process_and_says_why(error: str, said: str) -> None:
    script = f"""
import logging, time
from commons.adapters.opening_app import OpeningApp
from commons.errors import InvalidInputError, UnavailableError
logging.basicConfig(format="%(message)s")
tries = []
def create():
    tries.append(1)
    raise UnavailableError("away") if len(tries) < 2 else {error}
OpeningApp(create, ("/api/x",)).begin()
time.sleep(30)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=20
    )
    assert ended.returncode == 1
    assert said in ended.stderr
    assert ("Traceback" in ended.stderr) == ("bug" in said)


def test_pauses_grow_to_five_seconds_and_reasons_are_told() -> None:
    clock, tries, reasons = ManualClock(0.0), [], []

    def create() -> str:
        tries.append(clock.monotonic())
        if len(tries) < 10:
            raise UnavailableError(f"number {len(tries)}")
        return "it"

    assert opened(create, lambda: False, clock, reasons.append) == "it"
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses == pytest.approx([0.5, 1, 2, 4, 5, 5, 5, 5, 5], abs=0.21)
    assert reasons == [f"number {number}" for number in range(1, 10)]


def test_a_heartbeat_is_a_file_that_stays_young(tmp_path: Path) -> None:
    now = [0.0]
    file = tmp_path / "alive"
    heart = HeartbeatFile(file, monotonic=lambda: now[0])
    assert not file.exists()
    stopped = heart.beating(lambda: now[0] > 1.5)
    assert not stopped()
    assert file.exists()
    file.unlink()
    now[0] = 0.9
    heart.beat()
    assert not file.exists(), "once a second is enough"
    other = threading.Thread(target=lambda: (now.__setitem__(0, 1.0), heart.beat()))
    other.start()
    other.join()
    assert not file.exists(), "that another thread goes on says nothing"
    heart.beat()
    assert file.exists()
    now[0] = 2.0
    assert stopped()


def test_a_heartbeat_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    heart = HeartbeatFile(tmp_path / "none" / "alive", monotonic=lambda: now[0])
    for _ in range(3):
        heart.beat()
        now[0] += 2.0
    assert caplog.text.count("cannot touch") == 1
    HeartbeatFile(None).beat()
