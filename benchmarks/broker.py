"""A RabbitMQ of one's own: on free ports, in a folder, gone with the process that started it."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.installation import free_port
from commons.adapters.parent_death import end_with_parent
from commons.errors import UnavailableError

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
_START_S = 60.0


def is_installed() -> bool:
    """Say whether this machine has a RabbitMQ to start."""
    return (_PROGRAMS / "rabbitmq-server").exists() and shutil.which("epmd") is not None


@dataclass
class Rabbit:
    """A RabbitMQ that can be killed and started again with what it has on disk.

    Args:
        folder: Its data, logs and configuration.
        settings: Lines of its `rabbitmq.conf`; read at every start.
        advanced: The text of its `advanced.config`, where it has one.
        port: Where it serves.
    """

    folder: Path
    settings: str = ""
    advanced: str = ""
    port: int = field(default_factory=free_port)
    _mapper_port: int = field(default_factory=free_port)
    _distribution_port: int = field(default_factory=free_port)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return its address, with the name and password that a new one has."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        """Return when it serves."""
        (self.folder / "rabbitmq.conf").write_text(f"log.console = false\n{self.settings}\n")
        (self.folder / "advanced.config").write_text(self.advanced or "[].")
        mapper = ["epmd", "-port", str(self._mapper_port)]
        for command in (mapper, [str(_PROGRAMS / "rabbitmq-server")]):
            self._processes.append(started_server(command, self.folder, self._environ))
        wait_until_it_answers("RabbitMQ", self._processes[-1], self._answers, self.folder)

    def kill(self) -> None:
        """End it as a lost power line would."""
        for process in self._processes:
            kill_group(process)
        self._processes.clear()

    @property
    def processes(self) -> list[int]:
        """Return the processes it was started as."""
        return [process.pid for process in self._processes]

    def evaluate(self, expression: str) -> str:
        """Return what an Erlang expression gives inside of it; takes a second or two."""
        return subprocess.run(
            [_PROGRAMS / "rabbitmqctl", "eval", expression],
            env={**os.environ, **self._environ},
            check=True,
            capture_output=True,
            text=True,
            timeout=_START_S,
        ).stdout.strip()

    @property
    def _environ(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": f"dicebox{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            # Two threads do for a test, and busy waiting takes them from others.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none",
        }

    def _answers(self) -> bool:
        # The port opens when it serves; the greeting comes when it means it.
        with socket.create_connection(("127.0.0.1", self.port), 2.0) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))


@contextmanager
def own_rabbit() -> Iterator[Rabbit]:
    """Give a RabbitMQ that ends with the block.

    Raises:
        UnavailableError: None is installed.
    """
    if not is_installed():
        raise UnavailableError("rabbitmq-server is not installed; see tests/system_packages.sh")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rabbit = Rabbit(Path(folder))
        try:
            rabbit.start()
            yield rabbit
        finally:
            rabbit.kill()


def started_server(
    command: list[str], folder: Path, environ: Mapping[str, str], user: str | None = None
) -> subprocess.Popen[bytes]:
    """Return a server that leads a group of its own and writes to the file `output` of a folder."""
    parent = os.getpid()
    with (folder / "output").open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
            start_new_session=True,
            preexec_fn=lambda: end_with_parent(parent=parent),  # noqa: PLW1509 - few threads yet
        )


def wait_until_it_answers(
    name: str, process: subprocess.Popen[bytes], answers: Callable[[], bool], folder: Path
) -> None:
    """Return when a server answers.

    Raises:
        RuntimeError: It ended, or was silent for a minute; with the end of its output.
    """
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if answers():
                return
        except OSError:
            pass
        time.sleep(0.05)
    output = (folder / "output").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{name} did not start: {output}")


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group as a lost power line would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
