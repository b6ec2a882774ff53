"""What the front does to answers on their way, what it writes down, and how it starts and ends."""

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from benchmarks.installation import free_port
from tests.dicebox_processes import until
from tests.nginx_site import NGINX, PROGRAMS, ROOT, SCRIPTS, Echo, Site, run_script, started_site
from tests.servers import missing_program

pytestmark = pytest.mark.integration

LONG = {"X-Long": "dice" * 700}
EVENTS = "/api/evolution/v1/runs/some-run/events"


class Streaming(Echo):
    """Also sends events one by one, speaks after an upgrade, and has a picture."""

    gate = threading.Event()

    def serve(self) -> None:
        if self.path.endswith("/events"):
            return self._send_events()
        if "/slow/" in self.path:
            self.server.asked.append((0.0, self.command, self.path))
            self.gate.wait(20.0)
        if self.headers.get("Upgrade"):
            return self._upgrade()
        if self.path.endswith("/picture"):
            return self.answer(bytes(5000), "image/png")
        return super().serve()

    def _send_events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.server.was_told = self.gate.wait(5.0)
        self.wfile.write(b"data: second\n\n")
        self.close_connection = True

    def _upgrade(self) -> None:
        self.send_response(101)
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.send_header("Connection", self.headers["Connection"])
        self.end_headers()
        self.connection.sendall(self.connection.recv(100)[::-1])
        self.close_connection = True


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with started_site(tmp_path_factory.mktemp("nginx"), Streaming) as site:
        yield site


def test_what_is_long_and_packs_well_is_packed_for_who_understands_it(site):
    for path in ("/api/sensory/v1/datasets", "/api/classification/v1/networks", "/js/main.js"):
        packed = site.http.get(path, headers=LONG)
        assert packed.headers["Content-Encoding"] == "gzip", path
        assert packed.headers["Vary"] == "Accept-Encoding"
        plain = site.http.get(path, headers={**LONG, "Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert len(plain.content) > 1000


def test_the_packed_bytes_are_the_same_bytes(site):
    with site.http.stream("GET", "/js/main.js", headers={"Accept-Encoding": "gzip"}) as packed:
        data = gzip.decompress(b"".join(packed.iter_raw()))
    assert data == (ROOT / "web_client" / "js" / "main.js").read_bytes()


@pytest.mark.parametrize(
    "path", ["/healthz", "/api/sensory/v1/images/1/picture", "/api/admin/v1/keys"]
)
def test_what_is_short_or_packed_already_or_secret_is_sent_as_it_is(site, path):
    assert "Content-Encoding" not in site.http.get(path, headers=LONG).headers


def test_events_arrive_one_by_one(site):
    Streaming.gate.clear()
    with site.http.stream("GET", EVENTS, timeout=10.0) as response:
        lines = response.iter_lines()
        assert next(lines) == "data: first"
        Streaming.gate.set()
        assert "data: second" in list(lines)
    assert site.stubs["evolver"].was_told


def test_a_freeze_may_take_longer_than_any_other_request(tmp_path):
    templates = shutil.copytree(ROOT / "nginx", tmp_path / "templates")
    text = (templates / "nginx.conf").read_text(encoding="utf-8")
    assert "proxy_read_timeout 75s;" in text
    hurried = text.replace("proxy_read_timeout 75s;", "proxy_read_timeout 1s;")
    (templates / "nginx.conf").write_text(hurried, encoding="utf-8")
    Streaming.gate.clear()
    datasets = "/api/sensory/v1/datasets/slow"
    with (
        started_site(tmp_path / "nginx", Streaming, templates=templates) as site,
        ThreadPoolExecutor(1) as pool,
    ):
        freeze = pool.submit(site.http.post, f"{datasets}/snapshots", timeout=30.0)
        until(lambda: site.stubs["sensory_service"].asked)
        assert site.http.post(f"{datasets}/images", timeout=30.0).status_code == 503
        assert not freeze.done()
        Streaming.gate.set()
        assert freeze.result().status_code == 200


def test_an_upgrade_passes_and_both_sides_speak(site):
    with socket.create_connection(("127.0.0.1", site.port), 10.0) as client:
        client.sendall(
            b"GET /api/evolution/v1/talk HTTP/1.1\r\nHost: here\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        client.sendall(b"ping")
        assert client.recv(4096) == b"gnip"


def test_a_request_without_upgrade_closes_its_connection_behind(site):
    headers = site.http.get("/api/sensory/v1/datasets").json()["headers"]
    assert headers["Connection"] == "close"
    assert "Upgrade" not in headers


def test_every_request_is_a_line_of_json_without_its_key_and_its_query(site):
    path, key = "/api/sensory/v1/datasets/%22cats%22%0A/images", "dbx_secret_key"
    reply = site.http.get(
        f"{path}?label=secret-words",
        headers={"Authorization": f"Bearer {key}", "Cookie": f"dicebox_session={key}2"},
    )
    until(lambda: path in site.log())
    line = next(
        entry for entry in map(json.loads, site.log().splitlines()) if entry["path"] == path
    )
    upstream = f"127.0.0.1:{site.stubs['sensory_service'].server_port}"
    expected = {"method": "GET", "status": 200, "upstream": upstream, "logger": "nginx"}
    assert line.items() >= expected.items()
    assert line["request_id"] == reply.json()["headers"]["X-Request-Id"]
    assert line["address"] == "127.0.0.1"
    assert "secret" not in site.log()


def test_the_log_stays_json_whatever_is_asked_and_counts_milliseconds(site):
    Streaming.gate.clear()
    threading.Timer(1.1, Streaming.gate.set).start()
    site.http.get(EVENTS, timeout=10.0)
    for request in (b'GET /"quoted"\\ HTTP/1.1\r\nHost: a\r\n\r\n', b"nonsense\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", site.port), 10.0) as client:
            client.sendall(request)
            client.recv(4096)
    until(lambda: '"status":400' in site.log())
    lines = [json.loads(line) for line in site.log().splitlines()]
    assert any(line["path"] == '/"quoted"\\' and line["status"] == 404 for line in lines)
    watched = [line["ms"] for line in lines if line["path"] == EVENTS]
    assert 1000 <= watched[-1] < 5000


def test_the_image_starts_as_it_is_told_and_finishes_what_is_on_its_way(tmp_path):
    if NGINX is None:
        missing_program("nginx")
    port = free_port()
    environment = {
        "PATH": PROGRAMS,
        "TEMPLATES": str(ROOT / "nginx"),
        "NGINX_FOLDER": str(tmp_path),
        "LISTEN_HTTP": str(port),
        "TLS_FOLDER": str(tmp_path / "tls"),
    }
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            ["/bin/sh", SCRIPTS / "entrypoint"], env=environment, stdout=out, stderr=out
        )
    try:
        until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, (tmp_path / "out").read_text()
        os.kill(process.pid, signal.SIGQUIT)
        assert process.wait(10.0) == 0
        # Nothing but requests, and those for health are no news.
        assert "[warn]" not in (tmp_path / "out").read_text()
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").text == "alive\n"
    except httpx.TransportError:
        return False


def test_the_image_does_not_start_on_a_setting_that_is_none(tmp_path):
    began = time.monotonic()
    said = run_script("entrypoint", environment={"NGINX_FOLDER": str(tmp_path), "KEY_RATE": "x"})
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == "nginx: KEY_RATE: expected requests a second, such as 1000\n"
    assert time.monotonic() - began < 5.0
