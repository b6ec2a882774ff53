"""Starts a server as its user would, and ends it: the classification service, or a peer's."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

from benchmarks.installation import free_port
from benchmarks.serving_network import DATASET, Task, publish
from commons.adapters.services import ADMIN, CLASSIFICATION
from commons.auth import StoredKey, authorization, generate_key, stored_key
from commons.errors import UnavailableError

_START_S = 120.0
_ANSWER_S = 5.0
_STOP_S = 20.0
_POLL_S = 0.05
_WORKERS = 2


@dataclass(frozen=True)
class Served:
    """A server that answers.

    Args:
        url: Where images are sent to, in POST requests.
        headers: What every request has.
        pid: The process at its top.
        body: What is sent.
        networks: Their ids, the champion first, where it is ours.
    """

    url: str
    headers: Mapping[str, str]
    pid: int
    body: bytes
    networks: Sequence[str] = field(default=())

    def largest_bytes(self) -> int:
        """Return the resident set of its largest process: that of one worker."""
        found: list[int] = []
        root = psutil.Process(self.pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found.append(process.memory_info().rss)
        return max(found)


@contextmanager
def our_service(
    task: Task, files: Path, work: Path, *, networks: int = 1, environ: Mapping[str, str] = {}
) -> Iterator[Served]:
    """Give a classification service with keys, limits and metrics on, and its cache off.

    Args:
        task: Whose network is the champion.
        files: The folder with that.
        work: Where its data folder is made.
        networks: So many are registered.
        environ: Settings on top.
    """
    key = generate_key(os.urandom)
    known = stored_key(key, "benchmark", ("classify", "publish"), time.time())
    headers = {**authorization(key), "Content-Type": task.media_type}
    with (
        tempfile.TemporaryDirectory(dir=_made(work), prefix="serving-") as folder,
        _admin(Path(folder) / "sensory", known) as admin,
    ):
        data = Path(folder) / "classification"
        data.mkdir()
        registered = publish(task, files, data, networks)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = {
            "DICEBOX_DATA": str(data),
            "DICEBOX_PORT": str(port),
            "DICEBOX_KEYS": "required",
            "DICEBOX_ADMIN_URL": admin,
            "DICEBOX_SERVER_PROCESSES": str(_WORKERS),
            "DICEBOX_CACHED_ANSWERS": "0",
            **environ,
        }
        command = [sys.executable, "-m", "classification_service"]
        with _running("classification service", command, settings) as process:
            asked = f"{url}{CLASSIFICATION}/classify?dataset={DATASET}"
            served = Served(asked, headers, process.pid, task.image, registered)
            _wait(process, served)
            yield served


@contextmanager
def peer_service(
    name: str,
    python: Path,
    script: Path,
    task: Task,
    files: Path,
    settings: Mapping[str, str],
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Iterator[Served]:
    """Give a peer's server.

    Args:
        name: As it stands in the tables.
        python: That of its environment.
        script: What serves, with the port as its argument.
        task: What is asked.
        files: The folder with the network.
        settings: Its configuration, as environment variables.
        path: Where it takes requests.
        headers: Those of a request, in place of the image's media type.
        body: What is sent, in place of the image.
    """
    port = free_port()
    environ = {
        **settings,
        "SERVED_NETWORK": str(files),
        "SERVED_SHAPE": task.shape_text,
        "OMP_NUM_THREADS": "1",
    }
    with (
        tempfile.TemporaryDirectory(prefix="peer-") as folder,
        _running(name, [str(python), str(script), str(port)], environ, Path(folder)) as process,
    ):
        sent = headers or {"Content-Type": task.media_type}
        url = f"http://127.0.0.1:{port}{path}"
        served = Served(url, sent, process.pid, body or task.image)
        _wait(process, served)
        yield served


@contextmanager
def _admin(data: Path, key: StoredKey) -> Iterator[str]:
    """Give the address of a sensory service that knows a key."""
    data.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "DICEBOX_DATA": str(data),
        "DICEBOX_PORT": str(port),
        "DICEBOX_KEYS": "required",
        "DICEBOX_GIVEN_KEYS": f"[{key.model_dump_json()}]",
    }
    command = [sys.executable, "-m", "sensory_service"]
    with _running("sensory service", command, settings) as process:
        deadline = time.monotonic() + _START_S
        while not _answers(f"{url}{ADMIN}/healthz"):
            _give_up(process, "sensory service", deadline)
        yield url


@contextmanager
def _running(
    name: str, command: Sequence[str], settings: Mapping[str, str], folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that runs in a session of its own; all of it ends with the block."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environ = {key: value for key, value in os.environ.items() if key not in ours}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("DICEBOX_SERVING_LOG") else subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        children = _tree(process.pid)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        # Some leave workers behind, in groups of their own, or start others for those that end.
        while left := {one for one in (*children, *_session(process.pid)) if _lives(one)}:
            for one in left:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            process.poll()
            psutil.wait_procs(left, timeout=_STOP_S)
        process.wait()


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _session(leader: int) -> list[psutil.Process]:
    """Return the processes of a session, whoever their parents are by now."""
    found = []
    for one in psutil.process_iter():
        with suppress(ProcessLookupError):
            if os.getsid(one.pid) == leader:
                found.append(one)
    return found


def _lives(one: psutil.Process) -> bool:
    try:
        return bool(one.is_running() and one.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait(process: subprocess.Popen[bytes], served: Served) -> None:
    """Return when a request is answered well several times in a row: every worker is up."""
    deadline = time.monotonic() + _START_S
    in_a_row = 0
    while in_a_row < 4 * _WORKERS:
        try:
            # A connection each: it is one worker that answers on one.
            # Some never answer what comes too early.
            reply = httpx.post(
                served.url, content=served.body, headers=dict(served.headers), timeout=_ANSWER_S
            )
            in_a_row = in_a_row + 1 if reply.is_success else 0
            reason = f"{reply.status_code} {reply.text[:300]}"
        except httpx.TransportError as error:
            in_a_row, reason = 0, str(error)
        if in_a_row == 0:
            _give_up(process, f"{served.url}: {reason}", deadline)


def _give_up(process: subprocess.Popen[bytes], what: str, deadline: float) -> None:
    if process.poll() is not None:
        raise UnavailableError(f"{what}: it ended with {process.returncode}")
    if time.monotonic() > deadline:
        raise UnavailableError(f"{what}: it was not ready in time")
    time.sleep(_POLL_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
