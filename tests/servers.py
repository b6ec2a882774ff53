"""Real neighbours that tests start themselves: RabbitMQ, PostgreSQL and an S3 server.

Each has a folder and ports of its own and ends with the process that started it.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import psutil
import pytest
import sqlalchemy

from commons.adapters.parent_death import end_with_parent

_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_START_S = 60.0


def missing_program(program: str) -> None:
    """Skip the test, or fail it where everything should be there."""
    reason = f"{program} is not installed; see tests/system_packages.sh"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Rabbit:
    """A RabbitMQ that can be killed and started again with what it has on disk."""

    folder: Path
    port: int = field(default_factory=free_port)
    _mapper_port: int = field(default_factory=free_port)
    _distribution_port: int = field(default_factory=free_port)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        environ = {
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
            # Two threads do for a test, and busy waiting takes them from others.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none",
        }
        (self.folder / "rabbitmq.conf").write_text("log.console = false\n")
        for command in (["epmd", "-port", str(self._mapper_port)], [str(_RABBIT)]):
            self._processes.append(_started(command, self.folder, environ))
        _wait_for("RabbitMQ", self._processes[-1], self._answers, self.folder)

    def kill(self) -> None:
        """End it as a lost power line would."""
        for process in self._processes:
            _kill_group(process)
        self._processes.clear()

    def _answers(self) -> bool:
        # The port opens when it serves; the greeting comes when it means it.
        with socket.create_connection(("127.0.0.1", self.port), 2.0) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))


@contextmanager
def started_rabbit() -> Iterator[Rabbit]:
    if not _RABBIT.exists() or shutil.which("epmd") is None:
        missing_program("rabbitmq-server")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rabbit = Rabbit(Path(folder))
        try:
            rabbit.start()
            yield rabbit
        finally:
            rabbit.kill()


@dataclass
class Postgres:
    """A PostgreSQL with any number of databases."""

    programs: Path
    folder: Path
    user: str | None
    port: int = field(default_factory=free_port)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        data = self.folder / "data"
        if not data.exists():
            if self.user:
                shutil.chown(self.folder, self.user)
            initdb = [self.programs / "initdb", "-D", data, "-U", "dicebox", "-A", "trust"]
            subprocess.run(
                [*initdb, "-N", "-E", "UTF8", "--locale=C"],
                check=True,
                capture_output=True,
                user=self.user,
                cwd=self.folder,
            )
        command = [self.programs / "postgres", "-D", data, "-k", self.folder, "-p", self.port]
        process = _started([*map(str, command), "-h", "127.0.0.1"], self.folder, {}, user=self.user)
        self._processes.append(process)
        _wait_for("PostgreSQL", process, self._answers, self.folder)

    def kill(self) -> None:
        """End it as a lost power line would."""
        for process in self._processes:
            # Its children have sessions of their own, and outlive it for a moment.
            children = _children(process)
            _kill_group(process)
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
            psutil.wait_procs(children)
        self._processes.clear()

    def stop(self) -> None:
        """End it at once, but so that it gives its shared memory back."""
        for process in self._processes:
            process.send_signal(signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10.0)
        self.kill()

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"test_{uuid.uuid4().hex}"
        self._run(f"CREATE DATABASE {name}")
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://dicebox@127.0.0.1:{self.port}/{name}"

    def _run(self, statement: str) -> None:
        url = self._url("postgres").replace("postgresql:", "postgresql+psycopg:")
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)
        finally:
            engine.dispose()

    def _answers(self) -> bool:
        try:
            self._run("SELECT 1")
        except sqlalchemy.exc.OperationalError:
            return False
        return True


@contextmanager
def started_postgres() -> Iterator[Postgres]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing_program("postgresql")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        postgres = Postgres(found[-1].parent, Path(folder), _unprivileged_user())
        try:
            postgres.start()
            yield postgres
        finally:
            postgres.stop()


@dataclass
class S3:
    """An S3 server with any number of buckets."""

    folder: Path
    port: int = field(default_factory=free_port)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._processes.append(_started(command, self.folder, {}))
        _wait_for("moto", self._processes[-1], self._answers, self.folder)

    def kill(self) -> None:
        for process in self._processes:
            _kill_group(process)
        self._processes.clear()

    def new_blobs_url(self) -> str:
        """Return the address of blobs in an empty bucket."""
        bucket = f"test-{uuid.uuid4().hex}"
        client = boto3.client("s3", endpoint_url=self.endpoint_url)
        try:
            client.create_bucket(Bucket=bucket)
        finally:
            client.close()
        return f"s3://{bucket}/some/prefix?endpoint_url={self.endpoint_url}"

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 2.0):
            return True


@contextmanager
def started_s3() -> Iterator[S3]:
    """Give a server that takes any credentials, which stand in the environment meanwhile."""
    made_up = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        for name, value in (made_up | {"AWS_DEFAULT_REGION": "us-east-1"}).items():
            patch.setenv(name, value)
        server = S3(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _unprivileged_user() -> str | None:
    """Return whom to be instead of root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _started(
    command: list[str], folder: Path, environ: Mapping[str, str], user: str | None = None
) -> subprocess.Popen[bytes]:
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


def _wait_for(
    name: str, process: subprocess.Popen[bytes], answers: Callable[[], bool], folder: Path
) -> None:
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


def _children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
