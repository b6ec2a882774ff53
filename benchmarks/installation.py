"""Dicebox as its user starts it: the command, a data folder, an address."""

import os
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from commons.adapters.services import CLASSIFICATION, EVOLUTION, SENSORY
from commons.errors import UnavailableError
from dicebox.client import Client

_START_S = 60.0
_STOP_S = 30.0
_POLL_S = 0.01
SERVICES = (SENSORY, EVOLUTION, CLASSIFICATION)


@dataclass(frozen=True)
class Running:
    """A running `dicebox up`: its process, its address, and how long its start took."""

    pid: int
    url: str
    data: Path
    start_s: float


@contextmanager
def dicebox_up(data: Path, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Give a running house of a data folder and end it with the block.

    Args:
        data: The data folder.
        environ: Settings on top of this process's environment.

    Raises:
        UnavailableError: A service did not answer in time.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = Path(sysconfig.get_path("scripts")) / "dicebox"
    started = time.monotonic()
    process = subprocess.Popen(
        [command, "--data", data, "up", "--port", str(port)],
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(url, process)
        yield Running(process.pid, url, data, time.monotonic() - started)
    finally:
        _end(process)


@contextmanager
def fresh_dicebox(
    work: Path, environ: Mapping[str, str] | None = None
) -> Iterator[tuple[Running, Client]]:
    """Give a house of a data folder that is made for it and gone afterwards, and its client."""
    work.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=work, prefix="data-") as folder,
        dicebox_up(Path(folder), environ) as running,
        Client(running.url) as client,
    ):
        yield running, client


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    with httpx.Client(base_url=url) as http:
        for prefix in SERVICES:
            while not _is_ready(http, prefix):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise UnavailableError(f"{prefix} of dicebox up was not ready in time")
                time.sleep(_POLL_S)


def _is_ready(http: httpx.Client, prefix: str) -> bool:
    try:
        return http.get(f"{prefix}/readyz").is_success
    except httpx.TransportError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
