"""Runs the services of one data folder as child processes under one address."""

import logging
import os
import secrets
import shutil
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

from commons.adapters.key_guard import KeyPolicy
from commons.adapters.services import CLASSIFICATION, EVOLUTION, SENSORY
from commons.auth import (
    CLASSIFICATION_SCOPES,
    WORKER_SCOPES,
    Scope,
    StoredKey,
    generate_key,
    stored_key,
)
from commons.errors import ConflictError, UnavailableError
from commons.listening import LOOPBACK, listening_address
from dicebox.data_folder import DataFolder

DEFAULT_PORT = 8000
START_S = 30.0
_STOP_S = 10.0
# The front of a house that was killed while it served, or started, lets go of its port in time.
_LEFT_S = 8.0
_BARELY_LEFT_S = 1.0
_WATCH_S = 0.25
_QUICK_DEATH_S = 60.0
_LONGEST_PAUSE_S = 30.0
_ROOM_BYTES = 64 * 1024
_FRONT = "dicebox.front_server"
_JOBS = "classification_service.job_worker"
_MODULES = (
    _FRONT,
    "sensory_service.batch_processor",
    _JOBS,
    "evolver",
)
# Where this machine finds itself when the house listens on all of its addresses.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - named, not listened on
# What granian says of itself, and lines about requests; the reason of an end stands above it.
_CHATTER = ("[INFO]", "[WARNING]", "[ERROR]", '{"time"')
_LOG = logging.getLogger(__name__)


@dataclass
class _Child:
    module: str
    process: subprocess.Popen[bytes]
    started: float
    deaths: int = 0
    start_again_at: float | None = None


class House:
    """All services of one data folder on this machine, as a context manager.

    A child that dies is started again, after a pause that grows with every quick death. The
    children write to `logs/` of the data folder and end with this process, however it ends.

    Args:
        data: The data folder.
        host: Where to listen; without keys only a loopback address will do.
        port: 0 takes a free one.
        keys: `required` asks for a key from the start, `auto` from the first one made.
        engine: Who trains: `local` or `celery`; default: what `DICEBOX_ENGINE` says, else local.
    """

    def __init__(
        self,
        data: DataFolder,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keys: KeyPolicy = "auto",
        engine: str | None = None,
    ) -> None:
        self._data = data
        self._host = host
        self._port = port
        self._keys: KeyPolicy = keys
        self._engine = engine or os.environ.get("DICEBOX_ENGINE", "local")
        # New ones for each house: they end with it. The first is for commands of this user on
        # this folder, the second for the runner and its trainings, the third for corrections.
        self.key, self._own_key = _new_key("this house", ("admin",))
        self._worker_key, self._own_worker_key = _new_key("workers", WORKER_SCOPES)
        self._service_key, self._own_service_key = _new_key("classification", CLASSIFICATION_SCOPES)
        self._children: list[_Child] = []
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="house", daemon=True)

    @property
    def url(self) -> str:
        """Return the address of the front, as this machine reaches it."""
        host = _EVERYWHERE.get(self._host, self._host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self._port}"

    @property
    def engine(self) -> str:
        """Return who trains, `local` or `celery`."""
        return self._engine

    def __enter__(self) -> Self:
        """Start everything and wait until every service is ready.

        Raises:
            InvalidInputError: The host is not of this machine, and there is no key.
            ConflictError: The folder has a house already, or the port is taken.
            UnavailableError: A service did not become ready.
        """
        if self._host not in LOOPBACK:
            self._keys = "required"
        left = self._data.claim()
        try:
            self._host = listening_address(
                self._host, lambda: _has_keys(self._data.path), "`dicebox keys create` makes one"
            )
            self._port = _free_port(self._host, self._port, _LEFT_S if left else _BARELY_LEFT_S)
            (self._data.path / "logs").mkdir(exist_ok=True)
            for module in _MODULES:
                self._children.append(self._start(module))
            self._wait_until_ready()
            self._data.publish(self.url, self.key)
        except BaseException:
            self._end()
            raise
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End all children, kindly first."""
        self._end()

    def _start(self, module: str) -> _Child:
        with self._log(module).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dicebox.child", str(os.getpid()), module],
                env={**os.environ, **self._environment(module)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for this process alone; it ends its children in order.
                start_new_session=True,
            )
        return _Child(module, process, time.monotonic())

    def _environment(self, module: str) -> dict[str, str]:
        keys = {"DICEBOX_KEY": self._service_key if module == _JOBS else self._worker_key}
        if module == _FRONT:
            given = (self._own_key, self._own_worker_key, self._own_service_key)
            keys = {
                "DICEBOX_KEY": "",
                "DICEBOX_KEYS": self._keys,
                "DICEBOX_GIVEN_KEYS": f"[{','.join(key.model_dump_json() for key in given)}]",
            }
        return {
            **keys,
            "DICEBOX_ENGINE": self._engine,
            "DICEBOX_RECORD_SHARE": os.environ.get("DICEBOX_RECORD_SHARE", "1.0"),
            "DICEBOX_DATA": str(self._data.path),
            "DICEBOX_HOST": self._host,
            "DICEBOX_PORT": str(self._port),
            "DICEBOX_SENSORY_URL": self.url,
            "DICEBOX_CLASSIFICATION_URL": self.url,
            "PYTHONUNBUFFERED": "1",
        }

    def _log(self, module: str) -> Path:
        return self._data.path / "logs" / f"{module}.log"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        with httpx.Client(base_url=self.url) as http:
            for prefix in (SENSORY, EVOLUTION, CLASSIFICATION):
                missing: str | None = "it does not answer"
                while (missing := _missing(http, prefix, missing)) is not None:
                    self._complain_about_the_dead()
                    if time.monotonic() > deadline:
                        raise UnavailableError(
                            f"{prefix} was not ready after {START_S:.0f} s: {missing}; "
                            f"see {self._data.path / 'logs'}"
                        )
                    time.sleep(0.05)

    def _complain_about_the_dead(self) -> None:
        for child in self._children:
            if child.process.poll() is not None:
                log = self._log(child.module)
                raise UnavailableError(
                    f"{child.module} ended with code {child.process.returncode}: "
                    f"{_last_words(log)} (more in {log})"
                )

    def _watch(self) -> None:
        while not self._ending.wait(_WATCH_S):
            for number, child in enumerate(self._children):
                if child.process.poll() is None:
                    continue
                if child.start_again_at is None:
                    _plan_restart(child)
                if child.start_again_at is not None and time.monotonic() >= child.start_again_at:
                    self._children[number] = self._start_again(child)

    def _start_again(self, dead: _Child) -> _Child:
        try:
            child = self._start(dead.module)
        except OSError as error:  # no process to be had, or no room for the log
            _LOG.warning("%s cannot be started: %s", dead.module, error)
            dead.start_again_at = time.monotonic() + _LONGEST_PAUSE_S
            return dead
        child.deaths = dead.deaths
        return child

    def _end(self) -> None:
        self._ending.set()
        self._data.retract()
        if self._watcher.is_alive():
            self._watcher.join()
        try:
            # The front last: the others still talk to it while they finish.
            for child in reversed(self._children):
                _end_process(child.process)
        finally:
            # Who is out of patience interrupts the end too, and leaves nothing all the same.
            for child in self._children:
                child.process.kill()
                child.process.wait()
            self._children = []
        self._data.release()


def _new_key(name: str, scopes: tuple[Scope, ...]) -> tuple[str, StoredKey]:
    key = generate_key(secrets.token_bytes)
    return key, stored_key(key, name, scopes, time.time())


def _has_keys(data: Path) -> bool:
    """Say whether a key of this folder is good."""
    from commons.adapters.clock import SystemClock  # noqa: PLC0415 - rare, and half a second
    from commons.adapters.database import sqlite_url  # noqa: PLC0415
    from commons.adapters.hosted_keys import open_keys  # noqa: PLC0415

    keys = open_keys(sqlite_url(data / "keys.sqlite3"), SystemClock(), "required")
    return keys.desk.has_good_key()


def _plan_restart(dead: _Child) -> None:
    quick = time.monotonic() - dead.started < _QUICK_DEATH_S
    dead.deaths = dead.deaths + 1 if quick else 0
    # The first one may have had bad luck; who dies again and again has a reason.
    pause = min(_LONGEST_PAUSE_S, 0.5 * 2**dead.deaths) if dead.deaths > 1 else 0.0
    dead.start_again_at = time.monotonic() + pause
    code = dead.process.returncode
    _LOG.warning("%s ended with code %s; starting it again in %g s", dead.module, code, pause)


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


def _free_port(host: str, port: int, patience_s: float) -> int:
    """Return the port, or a free one for 0, when it can be listened on.

    Raises:
        ConflictError: Somebody else listens on it, also after `patience_s` seconds.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _bound(host, port)
        except PermissionError as error:
            raise ConflictError(
                f"port {port} of {host} is not for this user: choose one above 1023 with --port"
            ) from error
        except OSError as error:
            if time.monotonic() >= deadline:
                raise ConflictError(
                    f"port {port} of {host} is taken ({error.strerror}): "
                    "choose another with --port, 0 for any"
                ) from error
        time.sleep(0.1)


def _bound(host: str, port: int) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        number: int = probe.getsockname()[1]
        return number


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = (line.strip() for line in reversed(lines) if not line.startswith(_CHATTER))
    # A full disk takes no log either.
    full = shutil.disk_usage(log.parent).free < _ROOM_BYTES
    return next(said, "no space is left for its log" if full else "it said nothing")
