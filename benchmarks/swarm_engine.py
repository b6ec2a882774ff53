"""A Docker engine of one's own: a data folder, a socket, if asked a network namespace."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from commons.errors import UnavailableError
from deploy.stack_engine import Docker, DockerError

# The engine's own client: another version of it may not talk to this engine.
CLIENT = "/usr/bin/docker"
_START_S, _STOP_S = 60.0, 120.0
_POLL_S = 0.1
# A build needs neither a bridge nor a rule of the machine's: it takes the machine's network.
ONLY_BUILDS = ("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none")


def is_installed() -> bool:
    """Say whether this machine has an engine to start."""
    return shutil.which("dockerd") is not None and Path(CLIENT).exists()


@dataclass(frozen=True)
class Engine:
    """An engine that may be started, stopped, killed and started again with what it has on disk.

    Args:
        data: Its images, volumes and its part of the swarm.
        run: Its socket and what only lives as long as it; a short path, for sockets have those.
        options: More of dockerd's.
        namespace: The network namespace it runs in, by name; none: the machine's.
    """

    data: Path
    run: Path
    options: Sequence[str] = ()
    namespace: str | None = None

    @property
    def address(self) -> str:
        """Return what `DOCKER_HOST` is to be."""
        return f"unix://{self.run}/docker.sock"

    @property
    def docker(self) -> Docker:
        """Return its client."""
        return Docker((CLIENT,), {"DOCKER_HOST": self.address})

    @property
    def inside(self) -> list[str]:
        """Return the words before a command that is to run in its network.

        Not `ip netns exec`, which hides the control groups.
        """
        return ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []

    @property
    def _around(self) -> list[str]:
        if self.namespace is None:
            return []
        # A name of its own too: swarms tell nodes by it.
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.data.name]
        return [*self.inside, *named]

    def pid(self) -> int | None:
        """Return its process, if it runs."""
        try:
            pid = int((self.run / "pid").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return pid if psutil.pid_exists(pid) else None

    def start(self) -> None:
        """Return when it answers; at once if it runs already.

        Raises:
            UnavailableError: It does not start; with its last words.
        """
        if self.pid() is None:
            for folder in (self.data, self.run):
                folder.mkdir(parents=True, exist_ok=True)
            (self.run / "pid").unlink(missing_ok=True)
            command = [
                *self._around,
                "dockerd",
                *("--data-root", str(self.data), "--exec-root", str(self.run / "exec")),
                *("--host", self.address, "--pidfile", str(self.run / "pid")),
                *self.options,
            ]
            with self._log.open("ab") as log:
                # It outlives this command: the next one finds it by its folder.
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        deadline = time.monotonic() + _START_S
        while not self.answers():
            if time.monotonic() > deadline:
                raise UnavailableError(f"dockerd did not start: {self._last_words()}")
            time.sleep(_POLL_S)

    def answers(self) -> bool:
        """Say whether it answers."""
        with suppress(DockerError):
            self.docker("version", limit_s=5.0)
            return True
        return False

    def stop(self) -> None:
        """End it in order, with all that it runs, and leave no mount behind."""
        pid = self.pid()
        if pid is not None:
            process = psutil.Process(pid)
            process.send_signal(signal.SIGTERM)
            with suppress(psutil.TimeoutExpired):
                process.wait(_STOP_S)
        self.kill()

    def kill(self) -> None:
        """End it as a lost power line would, its containers too."""
        processes = self._processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10.0)
        (self.run / "pid").unlink(missing_ok=True)
        (self.run / "docker.sock").unlink(missing_ok=True)
        for mount in reversed(mounts_below(self.run, self.data)):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)

    def _processes(self) -> list[psutil.Process]:
        """Return the engine, its containerd, the shims, and what runs in containers."""
        found: dict[int, psutil.Process] = {}
        own = os.getpid()
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                words = process.cmdline()
                named = any(str(self.run) in word for word in words[1:])
                if process.pid != own and named and _is_engines(words[0]):
                    for each in (process, *process.children(recursive=True)):
                        found[each.pid] = each
        return list(found.values())

    @property
    def _log(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    def _last_words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-500:]


def _is_engines(program: str) -> bool:
    return Path(program).name.startswith(("dockerd", "containerd", "docker-proxy"))


def mounts_below(*folders: Path) -> list[str]:
    """Return what is mounted in some folders, outer mounts first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return sorted(p for p in points if any(p.startswith(f"{folder}/") for folder in folders))
