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
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import psutil
import pytest
import sqlalchemy

from benchmarks.broker import (
    Rabbit,
    is_installed,
    kill_group,
    started_server,
    wait_until_it_answers,
)
from benchmarks.installation import free_port


def missing_program(program: str) -> None:
    """Skip the test, or fail it where everything should be there."""
    reason = f"{program} is not installed; see tests/system_packages.sh"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def started_rabbit(settings: str = "", advanced: str = "") -> Iterator[Rabbit]:
    """Give a RabbitMQ; `settings` and `advanced` as `Rabbit` has them."""
    if not is_installed():
        missing_program("rabbitmq-server")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rabbit = Rabbit(Path(folder), settings, advanced)
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
        process = started_server(
            [*map(str, command), "-h", "127.0.0.1"], self.folder, {}, user=self.user
        )
        self._processes.append(process)
        wait_until_it_answers("PostgreSQL", process, self._answers, self.folder)

    def kill(self) -> None:
        """End it as a lost power line would."""
        for process in self._processes:
            # Its children have sessions of their own, and outlive it for a moment.
            children = _children(process)
            kill_group(process)
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
        postgres = Postgres(found[-1].parent, Path(folder), unprivileged_user())
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
        self._processes.append(started_server(command, self.folder, {}))
        wait_until_it_answers("moto", self._processes[-1], self._answers, self.folder)

    def kill(self) -> None:
        for process in self._processes:
            kill_group(process)
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


def unprivileged_user() -> str | None:
    """Return whom to be instead of root, which PostgreSQL refuses to be."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
