"""The stack on nodes of one's own: deployed by the commands of `deploy`, reached through nginx."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.frame import REPOSITORY
from benchmarks.swarm_engine import Engine
from benchmarks.swarm_nodes import Nodes
from commons.errors import UnavailableError
from deploy.stack_engine import DockerError
from deploy.stack_watch import Service, services
from dicebox.client import Client

STACK = "dicebox"
STATELESS = (
    "sensory_service",
    "batch_processor",
    "classification_service",
    "job_worker",
    "evolver",
    "evolver_runner",
    "trainer",
)
STATEFUL = ("rabbitmq", "postgres")
_POLL_S = 0.1
_ONCE = "shown this once: "
# What a run of the harness writes beside the data of nodes.
_FILES = ("admin.key", "ledger.json", "uploads.txt", "picture.png", "steps.json")


@dataclass(frozen=True)
class Task:
    """A running task: its container, the engine that runs it, and its first process."""

    container: str
    engine: Engine
    pid: int


@dataclass(frozen=True)
class House:
    """A stack.

    Args:
        nodes: Where it runs.
        environ: What stack.yml is told.
        files: What is laid over it.
    """

    nodes: Nodes
    environ: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Return where its keys, its ledger and its blobs are."""
        return self.nodes.folder

    @property
    def blobs(self) -> Path:
        """Return the folder that stands for the shared one."""
        return self.folder / "blobs"

    @property
    def url(self) -> str:
        """Return the address of nginx."""
        return f"http://{self.nodes.manager.address}"

    @property
    def key(self) -> str:
        """Return the admin key."""
        return (self.folder / "admin.key").read_text(encoding="utf-8")

    @property
    def services(self) -> list[str]:
        """Return the services that have tasks, nginx last."""
        found = [each.name.removeprefix(f"{STACK}_") for each in self.states() if each.wanted]
        return sorted(found, key=lambda name: name == "nginx")

    def client(self) -> Client:
        """Return a client that reaches everything through nginx."""
        return Client(self.url, key=self.key)

    def command(self, *words: str, limit_s: float = 600.0) -> str:
        """Return what `python -m WORDS` says, run as an operator does on the manager.

        Raises:
            UnavailableError: It failed; with what it said.
        """
        engine = self.nodes.manager.engine
        environ = {
            "DOCKER": shlex.join(engine.docker.command),
            "DOCKER_HOST": engine.address,
            "BLOBS_DEVICE": str(self.blobs),
            "STACK": STACK,
            **self.environ,
        }
        done = subprocess.run(
            [*engine.inside, sys.executable, "-m", *words],
            cwd=REPOSITORY,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout}")
        return done.stdout

    def prepare(self) -> None:
        """Make secrets, labels, and the volume of the blobs on every node."""
        self.blobs.mkdir(parents=True, exist_ok=True)
        for line in self.command("deploy.stack", "secrets").splitlines():
            if _ONCE in line:
                (self.folder / "admin.key").write_text(line.partition(_ONCE)[2], encoding="utf-8")
        self.command("deploy.stack", "prepare", "--label", "all")
        for node in self.nodes.all[1:]:
            number = node.engine.docker("info", "--format", "{{.Swarm.NodeID}}")
            self.docker("node", "update", "--label-add", "dicebox.trains=true", number)

    def up(self, wait_s: float = 180.0) -> None:
        """Deploy, and wait until all is healthy."""
        files = [word for file in self.files for word in ("-c", file)]
        self.command("deploy.stack", "up", *files, "--wait", f"{wait_s:.0f}")

    def erase(self) -> None:
        """Remove all data, that of ended nodes too; what was built stays."""
        self.nodes.erase()
        for folder in (self.blobs, self.folder / "backup"):
            shutil.rmtree(folder, ignore_errors=True)
        for name in _FILES:
            (self.folder / name).unlink(missing_ok=True)

    def down(self) -> None:
        """End the stack; what is in volumes stays."""
        self.command("deploy.stack", "down", limit_s=900.0)

    def docker(self, *words: str, limit_s: float = 300.0) -> str:
        """Ask the manager's engine."""
        return self.nodes.manager.engine.docker(*words, limit_s=limit_s)

    def states(self) -> list[Service]:
        """Return what the manager says of every service."""
        return services(self.nodes.manager.engine.docker, STACK)

    def state(self, service: str) -> Service:
        """Return what the manager says of one."""
        return next(each for each in self.states() if each.name == f"{STACK}_{service}")

    def tasks(self, service: str) -> list[Task]:
        """Return the running tasks of a service, on whatever node."""
        label = f"label=com.docker.swarm.service.name={STACK}_{service}"
        found = []
        for node in self.nodes.all:
            with suppress(DockerError):
                docker = node.engine.docker
                for container in docker.lines("ps", "--quiet", "--filter", label):
                    pid = int(docker("inspect", "--format", "{{.State.Pid}}", container))
                    found.append(Task(container, node.engine, pid))
        return found

    def kill(self, service: str) -> Task:
        """End the first process of a task of a service as `kill -9` does, and so the task."""
        task = self.tasks(service)[0]
        os.kill(task.pid, signal.SIGKILL)
        return task

    def until(self, condition: Callable[[], bool], what: str, limit_s: float = 120.0) -> float:
        """Return how long it took until something was so.

        Raises:
            UnavailableError: It was not so in time.
        """
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > limit_s:
                raise UnavailableError(f"{what}: not so after {limit_s:.0f} s")
            time.sleep(_POLL_S)
        return time.monotonic() - started

    def is_replaced(self, service: str, killed: Task) -> bool:
        """Say whether a service is whole without a task that was killed."""
        running = {task.container for task in self.tasks(service)}
        state = self.state(service)
        return killed.container not in running and state.running == state.wanted
