"""The real nginx with the shipped configuration, as the image's own script writes it, and stubs."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from benchmarks.installation import free_port
from tests.servers import missing_program

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "deploy" / "docker" / "nginx"
PROGRAMS = f"{SCRIPTS}:{os.environ.get('PATH', '')}:/usr/sbin"
NGINX = shutil.which("nginx", path=PROGRAMS)
SERVICES = ("sensory_service", "classification_service", "evolver")


class Echo(BaseHTTPRequestHandler):
    """Answers with its service's name and with what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.serve()

    do_POST = do_PUT = do_GET  # noqa: N815 - the names are the standard library's

    def serve(self) -> None:
        """Answer one request, whatever its method."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((time.monotonic(), self.command, self.path))
        reply = {
            "service": self.server.service,
            "path": self.path,
            "headers": dict(self.headers),
            "bytes": len(body),
        }
        self.answer(json.dumps(reply).encode(), "application/json")

    def answer(self, data: bytes, kind: str) -> None:
        self.send_response(409 if "conflict" in self.path else 200)
        self.send_header("Content-Type", kind)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


class Stub(ThreadingHTTPServer):
    """A service that knows what it was asked: when, by which method, for what."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, service: str, place: tuple[str, int], handler: type[Echo] = Echo) -> None:
        super().__init__(place, handler)
        self.service = service
        self.asked: list[tuple[float, str, str]] = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Whoever hangs up is no news."""


@dataclass
class Site:
    """A running nginx; `stubs` are the services behind it."""

    folder: Path
    port: int
    environment: dict[str, str]
    stubs: dict[str, Stub] = field(default_factory=dict)
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """The access log so far."""
        return (self.folder / "out").read_text(errors="replace")

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the image on this folder."""
        return run_script(script, environment={**self.environment, **environment})


def run_script(
    script: str, *arguments: object, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a script of the image as it would run in there."""
    return subprocess.run(
        ["/bin/sh", SCRIPTS / script, *map(str, arguments)],
        env={"PATH": PROGRAMS, "TEMPLATES": str(ROOT / "nginx"), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def started_nginx(folder: Path, services: dict[str, str], **settings: object) -> Iterator[Site]:
    """Start nginx in front of services by their addresses; `settings` are the image's.

    A test's rates are so high that they limit nothing, unless it says others.
    """
    if NGINX is None:
        missing_program("nginx")
    port = free_port()
    rates = {"KEY_RATE": 100_000, "ADDRESS_RATE": 100_000, "LOGIN_RATE": 1000}
    given = services | rates | {name.upper(): value for name, value in settings.items()}
    environment = {name.upper(): str(value) for name, value in given.items()}
    environment |= {
        "LISTEN_HTTP": f"127.0.0.1:{port}",
        "WEB_CLIENT": str(ROOT / "web_client"),
        "NGINX_FOLDER": str(folder),
    }
    environment.setdefault("TLS_FOLDER", str(folder / "tls"))
    site = Site(folder, port, environment)
    rendered = run_script("render", folder, environment=environment)
    assert rendered.returncode == 0, rendered.stderr
    # Started by root, workers would become nobody, who may not read the test's folders.
    user = " user root;" if os.geteuid() == 0 else ""
    command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen([*command, "-g", f"daemon off;{user}"], stdout=out, stderr=err)
    try:
        _wait_for(port, process, folder)
        yield site
    finally:
        site.http.close()
        process.terminate()
        process.wait(10.0)


@contextmanager
def started_site(folder: Path, handler: type[Echo] = Echo, **settings: object) -> Iterator[Site]:
    """Start nginx with one stub for each service."""
    stubs = {service: Stub(service, ("127.0.0.1", 0), handler) for service in SERVICES}
    places = {service: f"127.0.0.1:{stub.server_port}" for service, stub in stubs.items()}
    try:
        with started_nginx(folder, places, **settings) as site:
            site.stubs.update(stubs)
            yield site
    finally:
        for stub in stubs.values():
            stub.close()


def raw_status(site: Site, path: str) -> int:
    """Return the status of a path sent byte by byte as it is; httpx would tidy it up."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    try:
        connection.putrequest("GET", path)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


class NameServer:
    """Answers who has a name with the addresses it has now, to be kept for ten minutes."""

    def __init__(self) -> None:
        self.names: dict[str, Sequence[str]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                question, whom = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(question), whom)
            except OSError:
                return

    def _answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += 1 + length
        addresses = self.names.get(".".join(labels), ())
        # An answer, with recursion; 3: nobody has this name.
        flags = 0x8180 if addresses else 0x8183
        counts = (1).to_bytes(2, "big") + len(addresses).to_bytes(2, "big") + bytes(4)
        record = b"\xc0\x0c\x00\x01\x00\x01" + (600).to_bytes(4, "big") + b"\x00\x04"
        return (
            question[:2]
            + flags.to_bytes(2, "big")
            + counts
            + question[12 : at + 5]
            + b"".join(record + socket.inet_aton(address) for address in addresses)
        )


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    words = (folder / "err").read_text()
    pytest.fail(f"nginx does not listen on {port} (exit code {process.poll()}): {words}")
