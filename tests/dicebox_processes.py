"""The `dicebox` command as a person starts it, and what became of every process it started."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

SERVICES = ("/api/sensory/v1", "/api/evolution/v1", "/api/classification/v1")


def is_alive(process: int) -> bool:
    """Say whether a process runs, or could if it were let."""
    try:
        state: str = psutil.Process(process).status()
    except psutil.NoSuchProcess:
        return False
    return state != psutil.STATUS_ZOMBIE


def until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Return when a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """The JSON object of the last line of standard output."""
        return json.loads(self.out.splitlines()[-1])

    @property
    def last_words(self) -> str:
        """The last line of standard error."""
        return self.err.splitlines()[-1]


@dataclass
class Dicebox:
    """Commands on one data folder; every process that comes of them bears its mark."""

    data: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, as a shell does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dicebox", "--data", str(self.data), *map(str, arguments)],
            env={**os.environ, "DICEBOX_TEST": self.mark, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: object, timeout_s: float = 120.0, **environment: str) -> Ended:
        """Return how a command ended."""
        return ended(self.start(*arguments, **environment), timeout_s)

    def up(self, *arguments: object) -> tuple[subprocess.Popen[str], str]:
        """Start `dicebox up` on a free port; return its process and its address, once ready."""
        process = self.start("up", "--port", 0, "--json", *arguments)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return process, json.loads(line)["url"]

    def processes(self) -> dict[int, str]:
        """Return the living processes of this Dicebox and their command lines."""
        return {
            pid: _read(pid, "cmdline").replace("\0", " ")
            for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
            if f"DICEBOX_TEST={self.mark}" in _read(pid, "environ").split("\0")
        }

    def process(self, *words: str) -> int:
        """Return the one process whose command line holds all these words."""
        (pid,) = (pid for pid, line in self.processes().items() if all(w in line for w in words))
        return pid

    def left_nothing(self) -> bool:
        """Say whether no process is left."""
        return not self.processes()

    def end(self) -> None:
        """Kill what is left."""
        for pid in self.processes():
            os.kill(pid, 9)
        for process in self.started:
            process.communicate()


def ended(process: subprocess.Popen[str], timeout_s: float = 120.0) -> Ended:
    """Wait for a command and return how it ended."""
    out, err = process.communicate(timeout=timeout_s)
    return Ended(process.returncode, out, err)


def is_ready(url: str) -> bool:
    """Say whether every service at an address is ready."""
    try:
        return all(httpx.get(f"{url}{prefix}/readyz").is_success for prefix in SERVICES)
    except httpx.TransportError:
        return False


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        return ""
