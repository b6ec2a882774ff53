"""Runs the services of one data folder as child processes under one address."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from commons.adapters.services import CLASSIFICATION, EVOLUTION, SENSORY
from commons.errors import ConflictError, InvalidInputError, UnavailableError
from dicebox.data_folder import DataFolder

DEFAULT_PORT = 8000
_START_S = 30.0
_STOP_S = 10.0
_MODULES = ("dicebox.front_server", "sensory_service.batch_processor", "evolver")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LOG = logging.getLogger(__name__)


@dataclass
class _Child:
    module: str
    process: subprocess.Popen[bytes]
    started: float
    deaths: int = 0


class House:
    """All services of one data folder on this machine, as a context manager.

    A child that dies is started again, after a pause that grows with every quick death. The
    children write to `logs/` of the data folder and end with this process, however it ends.

    Args:
        data: The data folder.
        host: A loopback address: without keys nothing else is listened on.
        port: 0 takes a free one.
    """

    def __init__(self, data: DataFolder, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._data = data
        self._host = host
        self._port = port
        self._children: list[_Child] = []
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="house", daemon=True)

    @property
    def url(self) -> str:
        """Return the address of the front."""
        return f"http://{self._host}:{self._port}"

    def __enter__(self) -> Self:
        """Start everything and wait until every service is ready.

        Raises:
            InvalidInputError: The host is not of this machine.
            ConflictError: The folder has a house already, or the port is taken.
            UnavailableError: A service did not become ready.
        """
        if self._host not in _LOOPBACK:
            raise InvalidInputError(
                f"expected a loopback address to listen on, got {self._host}: "
                "without keys Dicebox serves this machine only"
            )
        self._data.claim()
        try:
            self._port = _free_port(self._host, self._port)
            (self._data.path / "logs").mkdir(exist_ok=True)
            self._children = [self._start(module) for module in _MODULES]
            self._wait_until_ready()
            self._data.publish(self.url)
        except BaseException:
            self._end()
            raise
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all children, kindly first."""
        self._end()

    def _start(self, module: str) -> _Child:
        with (self._data.path / "logs" / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dicebox.child", module],
                env={**os.environ, **self._environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for this process alone; it ends its children in order.
                start_new_session=True,
            )
        return _Child(module, process, time.monotonic())

    def _environment(self) -> dict[str, str]:
        return {
            "DICEBOX_DATA": str(self._data.path),
            "DICEBOX_HOST": self._host,
            "DICEBOX_PORT": str(self._port),
            "DICEBOX_SENSORY_URL": self.url,
            "DICEBOX_CLASSIFICATION_URL": self.url,
            "PYTHONUNBUFFERED": "1",
        }

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_S
        with httpx.Client(base_url=self.url) as http:
            for prefix in (SENSORY, EVOLUTION, CLASSIFICATION):
                missing: str | None = "it does not answer"
                while (missing := _missing(http, prefix, missing)) is not None:
                    self._complain_about_the_dead()
                    if time.monotonic() > deadline:
                        raise UnavailableError(
                            f"{prefix} was not ready after {_START_S:.0f} s: {missing}; "
                            f"see {self._data.path / 'logs'}"
                        )
                    time.sleep(0.05)

    def _complain_about_the_dead(self) -> None:
        for child in self._children:
            if child.process.poll() is not None:
                log = self._data.path / "logs" / f"{child.module}.log"
                raise UnavailableError(
                    f"{child.module} ended with code {child.process.returncode}: "
                    f"{_last_line(log)} (more in {log})"
                )

    def _watch(self) -> None:
        while not self._ending.wait(0.5):
            for number, child in enumerate(self._children):
                if child.process.poll() is not None and not self._ending.is_set():
                    self._children[number] = self._start_again(child)

    def _start_again(self, dead: _Child) -> _Child:
        quick = time.monotonic() - dead.started < 60  # noqa: PLR2004 - seconds
        deaths = dead.deaths + 1 if quick else 0
        pause = min(30.0, 0.5 * 2**deaths)
        _LOG.warning(
            "%s ended with code %s; starting it again", dead.module, dead.process.returncode
        )
        self._ending.wait(pause if deaths else 0)
        child = self._start(dead.module)
        child.deaths = deaths
        return child

    def _end(self) -> None:
        self._ending.set()
        if self._watcher.is_alive():
            self._watcher.join()
        # The front last: the others still talk to it while they finish.
        for child in reversed(self._children):
            _end_process(child.process)
        self._children = []
        self._data.release()


def _missing(http: httpx.Client, prefix: str, before: str | None) -> str | None:
    """Return what a service misses, or nothing when it is ready."""
    try:
        response = http.get(f"{prefix}/readyz")
        return None if response.is_success else str(response.json()["missing"])
    except (httpx.TransportError, ValueError, KeyError):
        return before


def _end_process(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConflictError(
                f"port {port} of {host} is taken ({error.strerror}): choose another with --port"
            ) from error
        number: int = probe.getsockname()[1]
        return number


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
