"""How much one client may ask for, and what the settings of the front refuse."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.dicebox_processes import until
from tests.nginx_site import Echo, Site, run_script, started_site

pytestmark = pytest.mark.integration

PATH = "/api/sensory/v1/datasets"
WAITING = "/api/sensory/v1/orders/some/shards/next?after=0&wait_s=20"
ELSEWHERE = "127.0.0.9"
MOST_WAITS = 200


class Patient(Echo):
    """Answers who waits for a shard when it is told to."""

    gate = threading.Event()

    def serve(self) -> None:
        if self.path.startswith("/api/sensory/v1/orders/"):
            self.server.asked.append((0.0, self.command, self.path))
            self.gate.wait(30.0)
        super().serve()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Give a front where a key may ask for 3 and an address for 30 requests a second."""
    with started_site(tmp_path / "nginx", key_rate=3, address_rate=30, login_rate=1) as site:
        yield site


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def statuses(site: Site, count: int, path: str = PATH, **headers: str) -> Counter[int]:
    return Counter(site.http.get(path, headers=headers).status_code for _ in range(count))


@contextmanager
def elsewhere(site: Site) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(local_address=ELSEWHERE)
    with httpx.Client(base_url=site.url, transport=transport) as client:
        yield client


def test_a_key_that_asks_for_too_much_is_told_when_to_come_back_and_no_other_key_is(site):
    # 3 a second, and two seconds' worth at once.
    assert statuses(site, 7, **bearer("mine")) == {200: 7}
    assert statuses(site, 10, **bearer("mine"))[429] >= 8
    refused = site.http.get(PATH, headers=bearer("mine"))
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["type"] == "too-many-requests"
    assert refused.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert statuses(site, 3, **bearer("another")) == {200: 3}


def test_a_key_is_counted_however_it_is_shown_and_from_wherever(site):
    assert statuses(site, 7, **bearer("mine")) == {200: 7}
    for headers in (
        {"Authorization": "bearer   mine"},
        {"Cookie": "dicebox_session=mine"},
        {**bearer("mine"), "Cookie": "dicebox_session=made-up"},
    ):
        assert statuses(site, 4, **headers)[429] >= 3, headers
    with elsewhere(site) as client:
        assert client.get(PATH, headers=bearer("mine")).status_code == 429


def test_who_shows_no_key_is_counted_by_address(site):
    assert statuses(site, 12)[429] >= 4
    with elsewhere(site) as client:
        assert client.get(PATH).status_code == 200


def test_an_address_that_shows_one_key_after_the_other_is_bounded_too(site):
    replies = Counter(
        site.http.get(PATH, headers=bearer(f"guess-{number}")).status_code for number in range(120)
    )
    assert replies[429] >= 20
    with elsewhere(site) as client:
        assert client.get(PATH, headers=bearer("mine")).status_code == 200


def test_who_guesses_keys_at_the_login_is_slowed_down(site):
    login = [
        site.http.post("/api/admin/v1/login", json={"key": f"guess-{number}"}).status_code
        for number in range(20)
    ]
    assert login[:11] == [200] * 11
    assert login.count(429) >= 7
    assert len(site.stubs["sensory_service"].asked) == login.count(200)


def test_health_is_never_refused(site):
    assert statuses(site, 100, "/healthz") == {200: 100}


def test_one_client_cannot_hold_all_the_connections_that_wait(tmp_path):
    Patient.gate.clear()
    with started_site(tmp_path / "nginx", Patient) as site, ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(MOST_WAITS))
        stack.callback(Patient.gate.set)
        limits = httpx.Limits(max_connections=None)
        client = stack.enter_context(
            httpx.Client(base_url=site.url, limits=limits, timeout=60.0, headers=bearer("mine"))
        )
        waits = [pool.submit(client.get, WAITING) for _ in range(MOST_WAITS)]
        until(lambda: len(site.stubs["sensory_service"].asked) == MOST_WAITS)
        refused = client.get(WAITING)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert client.get(PATH).status_code == 200
        other = pool.submit(httpx.get, f"{site.url}{WAITING}", headers=bearer("b"), timeout=60.0)
        Patient.gate.set()
        assert {wait.result(60.0).status_code for wait in waits} == {200}
        assert other.result(60.0).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENSORY_SERVICE", "sensory_service:8001; return 200"),
        ("SENSORY_SERVICE", "sensory_service"),
        ("EVOLVER", "evolver:8004\nreturn 200;"),
        ("EVOLVER", "evolver:8004 "),
        ("WEB_CLIENT", "/srv/$host"),
        ("WEB_CLIENT", "srv"),
        ("RESOLVER", "127.0.0.11 valid=1d"),
        ("KEY_RATE", "0"),
        ("KEY_RATE", "1e9"),
        ("ADDRESS_RATE", "-1"),
        ("LOGIN_RATE", "two"),
        ("PLAIN_HTTP", "maybe"),
        ("HSTS_S", "1y"),
        ("HTTPS_PORT", "443|x"),
        ("LISTEN_HTTP", "8080}"),
        ("WORKERS", "auto"),
    ],
)
def test_a_setting_that_is_none_is_named_in_one_line_and_nothing_is_written(tmp_path, name, value):
    said = run_script("render", tmp_path / "nginx", environment={name: value})
    assert said.returncode == 1
    # What it was is not said: it may be a secret in the wrong place.
    assert re.fullmatch(rf"nginx: {name}: expected [^;\n]+\n", said.stderr)
    assert not (tmp_path / "nginx").exists()


def test_all_wrong_settings_are_named_at_once(tmp_path):
    wrong = {"KEY_RATE": "none", "PLAIN_HTTP": "perhaps", "EVOLVER": "evolver"}
    said = run_script("render", tmp_path / "nginx", environment=wrong)
    assert all(f"{name}: expected" in said.stderr for name in wrong)


def test_an_empty_setting_is_as_good_as_none(tmp_path):
    assert run_script("render", tmp_path, environment={"KEY_RATE": ""}).returncode == 0
    assert "rate=1000r/s" in (tmp_path / "rates.conf").read_text()
    written = "".join(file.read_text() for file in tmp_path.iterdir())
    assert re.search(r"^worker_processes [1-4];$", written, re.MULTILINE)
    assert "${" not in written
