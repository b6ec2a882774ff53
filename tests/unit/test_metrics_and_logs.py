"""Figures that are right with several processes, and one log line a request without secrets."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from commons.adapters.request_log import JsonLines
from sensory_service.app import Settings, create_app
from tests.archive_builders import tar_bytes
from tests.builders import png_bytes, png_files
from tests.dicebox_processes import until
from tests.servers import free_port

BASE = "/api/sensory/v1"
_UPLOADS = ("new", "duplicate", "refused")


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    transport = httpx.WSGITransport(create_app(Settings(data=tmp_path)))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Give what a service writes to its log."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("dicebox.request")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Return the value of every sample by its name and its labels but `service`, in order."""
    return {
        (
            sample.name,
            *(word for label, word in sorted(sample.labels.items()) if label != "service"),
        ): (sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_uploads_and_what_the_tables_say_are_counted(http: httpx.Client) -> None:
    for _ in range(2):
        http.post(f"{BASE}/datasets/pets/images?category=cat", content=png_bytes())
    http.post(f"{BASE}/datasets/pets/images", content=b"no image")
    http.get("/api/sensory/v1/nobody/serves/this")
    reply = http.get(f"{BASE}/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain")
    found = figures(reply.text)
    route = f"{BASE}/datasets/<dataset>/images"
    assert found["dicebox_requests_total", "POST", route, "201"] == 1
    assert found["dicebox_requests_total", "POST", route, "200"] == 1
    assert found["dicebox_requests_total", "POST", route, "400"] == 1
    assert found["dicebox_requests_total", "GET", "none", "404"] == 1
    assert found["dicebox_request_seconds_count", "POST", route] == 3
    assert found["dicebox_events_total", "upload", "new"] == 1
    assert found["dicebox_events_total", "upload", "duplicate"] == 1
    assert found["dicebox_queue_depth", "shards"] == 0
    assert found["dicebox_orders", "accepted"] == 0


def test_orders_are_counted_by_state(http: httpx.Client) -> None:
    for seed in range(8):
        path = f"{BASE}/datasets/pets/images?category={'ab'[seed % 2]}"
        http.post(path, content=png_bytes(seed=seed))
    snapshot = http.post(f"{BASE}/datasets/pets/snapshots", json={}).json()["id"]
    body = {"snapshot": snapshot, "splits": ["train"], "shape": [8, 8, 1]}
    for seed in range(3):
        reply = http.post(f"{BASE}/orders", json={**body, "seed": seed})
        assert reply.status_code == 202, reply.text
    http.delete(f"{BASE}/orders/{reply.json()['id']}")
    found = figures(http.get(f"{BASE}/metrics").text)
    assert found["dicebox_orders", "accepted"] == 2
    assert found["dicebox_orders", "cancelled"] == 1
    assert found["dicebox_queue_depth", "shards"] > 0


def test_the_files_of_an_import_are_counted_as_uploads(http: httpx.Client) -> None:
    known, other = png_files(2)
    for folder, files in (("cat", [known]), ("dog", [known, other, ("text.png", b"hello")])):
        archive = tar_bytes([(f"{folder}/{name}", data) for name, data in files])
        reply = http.post(f"{BASE}/datasets/pets/imports", content=archive)
        assert reply.status_code == 200
    found = figures(http.get(f"{BASE}/metrics").text)
    counted = {label: found["dicebox_events_total", "upload", label] for label in _UPLOADS}
    assert counted == {"new": 2, "duplicate": 1, "refused": 1}


_COUNTING = """
import sys
from pathlib import Path
from commons.adapters.shared_counts import share_counts
if sys.argv[1] == "parent":
    share_counts(Path(sys.argv[2]))
from commons.adapters.metrics import ServiceMetrics, ServingMetrics
own, other = ServingMetrics("/own"), ServiceMetrics("/other")
own.count_refusal(408, "slow-request")
own.observe("GET", "/images", 200, 0.01)
own.count("classification", "net", 3)
other.observe("GET", "/runs", 200, 0.01)
sys.stdout.write(own.text().decode())
"""


def test_the_figures_of_several_processes_are_their_sum_and_of_one_service(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    (folder / "old").mkdir(parents=True)
    for role in ("parent", "child", "child"):
        text = subprocess.run(
            [sys.executable, "-c", _COUNTING, role, str(folder)],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    found = figures(text)
    assert found["dicebox_requests_total", "GET", "/images", "200"] == 3
    assert found["dicebox_request_seconds_count", "GET", "/images"] == 3
    assert found["dicebox_events_total", "classification", "net"] == 9
    assert found["dicebox_refusals_total", "slow-request", "408"] == 3
    assert not any("/runs" in name for name in found)


@pytest.mark.e2e
def test_the_figures_of_a_served_service_are_those_of_all_its_processes(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "sensory_service"],
        env={
            **os.environ,
            "DICEBOX_DATA": str(tmp_path),
            "DICEBOX_PORT": str(port),
            "DICEBOX_SERVER_PROCESSES": "2",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            until(lambda: _serving(server.pid, port) == 2)
            for number in range(60):
                # Each on a connection of its own, so that both processes get some.
                reply = httpx.post(
                    f"http://127.0.0.1:{port}{BASE}/datasets/pets/images?category=cat",
                    content=png_bytes(seed=number),
                )
                assert reply.status_code == 201, reply.text
            texts = [httpx.get(f"http://127.0.0.1:{port}{BASE}/metrics").text for _ in range(10)]
        finally:
            server.terminate()
            server.wait(20.0)
    for text in texts:  # whichever process was asked
        assert figures(text)["dicebox_events_total", "upload", "new"] == 60
    counted = list((tmp_path / "metrics" / "sensory").glob("counter_*.db"))
    assert len(counted) >= 2


def _serving(parent: int, port: int) -> int:
    """Return how many child processes of a server there are, once it is ready; else 0."""
    try:
        ready = httpx.get(f"http://127.0.0.1:{port}{BASE}/readyz").is_success
    except httpx.TransportError:
        return 0
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return len(children) if ready else 0


def test_a_request_id_is_taken_sent_back_and_stands_in_problem_and_log(
    http: httpx.Client, log: io.StringIO
) -> None:
    reply = http.get(f"{BASE}/datasets/none", headers={"X-Request-ID": "abc-123"})
    assert reply.headers["X-Request-ID"] == "abc-123"
    assert reply.json()["request_id"] == "abc-123"
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["request_id"], line["level"], line["logger"]) == (
        "abc-123",
        "info",
        "dicebox.request",
    )
    assert (line["method"], line["path"], line["status"]) == ("GET", f"{BASE}/datasets/none", 404)
    assert line["ms"] >= 0


@pytest.mark.parametrize("given", ["", "a b", "x" * 65])
def test_a_request_id_that_is_none_is_replaced(http: httpx.Client, given: str) -> None:
    reply = http.get(f"{BASE}/healthz", headers={"X-Request-ID": given.encode()})
    assert len(reply.headers["X-Request-ID"]) == 32


def test_no_secret_is_logged(http: httpx.Client, log: io.StringIO) -> None:
    made = http.post("/api/admin/v1/keys", json={"name": "me", "scopes": ["admin"]}).json()
    key = made["key"]
    headers = {"Authorization": f"Bearer {key}"}
    http.get(f"{BASE}/datasets?key={key}", headers=headers)
    http.post("/api/admin/v1/login", json={"key": key})
    http.post("/api/admin/v1/login", json={"key": key + "x"})
    secret = key.rpartition("_")[2]
    assert secret not in log.getvalue()
    assert [json.loads(line)["key"] for line in log.getvalue().splitlines()][1] == made["id"]


def test_a_figure_needs_any_key_once_there_are_keys(http: httpx.Client) -> None:
    body = {"name": "prometheus", "scopes": ["classify"]}
    key = http.post("/api/admin/v1/keys", json=body).json()["key"]
    assert http.get(f"{BASE}/metrics").status_code == 401
    reply = http.get(f"{BASE}/metrics", headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 200
