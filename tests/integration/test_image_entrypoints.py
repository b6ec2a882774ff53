"""How the images of the database and the broker start, with this machine's own programs."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pika
import pytest
import sqlalchemy

from benchmarks.broker import is_installed, kill_group, started_server, wait_until_it_answers
from benchmarks.installation import free_port
from tests.servers import missing_program, unprivileged_user

pytestmark = pytest.mark.integration
DOCKER = Path(__file__).parents[2] / "deploy" / "docker"
PASSWORD = "not ' a \" default"


@dataclass
class Container:
    """What an entrypoint sees: a folder for data, one for secrets, and an environment."""

    script: Path
    folder: Path
    environ: dict[str, str]
    user: str | None
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def secret(self, text: str) -> Path:
        file = self.folder / "secret"
        file.write_text(text)
        if self.user:
            shutil.chown(file, self.user)
        return file

    def refused(self, **environ: str) -> str:
        """Return the one line that is said when it does not start."""
        done = subprocess.run(
            [self.script],
            check=False,
            capture_output=True,
            text=True,
            timeout=30.0,
            env=self._environ(environ),
            user=self.user,
            cwd=self.folder,
        )
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        return line

    def start(
        self, *arguments: str, answers: Callable[[], bool], **environ: str
    ) -> subprocess.Popen[bytes]:
        command = [str(self.script), *arguments]
        process = started_server(command, self.folder, self._environ(environ), user=self.user)
        self._processes.append(process)
        wait_until_it_answers(self.script.parent.name, process, answers, self.folder)
        return process

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            try:
                process.wait(20.0)
            finally:
                kill_group(process)
        self._processes.clear()

    def _environ(self, more: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, **self.environ, **more}


@contextmanager
def _container(name: str, environ: Callable[[Path], dict[str, str]]) -> Iterator[Container]:
    # Not pytest's own folder: whoever is not root may not pass it.
    with TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        (folder / "volume").mkdir()
        user = unprivileged_user()
        if user:
            shutil.chown(folder, user)
            shutil.chown(folder / "volume", user)
        # A copy, because whoever is not root may not pass the checkout either.
        script = folder / name / "entrypoint.sh"
        shutil.copytree(DOCKER / name, script.parent)
        container = Container(script, folder, environ(folder), user)
        try:
            yield container
        finally:
            container.stop()


@pytest.fixture
def postgres_container() -> Iterator[Container]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing_program("postgresql")

    def environ(folder: Path) -> dict[str, str]:
        return {
            "PATH": f"{found[-1].parent}:/usr/bin:/bin",
            "PGDATA": str(folder / "volume" / "15"),
            "POSTGRES_USER": "dicebox",
            "POSTGRES_DB": "boxes",
            "POSTGRES_PASSWORD_FILE": str(folder / "secret"),
        }

    with _container("postgres", environ) as container:
        yield container


@dataclass
class Database:
    """A database that a container serves, as a client with a password sees it."""

    container: Container
    port: int = field(default_factory=free_port)

    def start(self) -> None:
        folder = self.container.folder
        options = [f"unix_socket_directories={folder}", f"port={self.port}"]
        arguments = [word for option in options for word in ("-c", option)]
        self.container.start(*arguments, answers=self._answers)

    def run(self, statement: str, password: str = PASSWORD) -> list[tuple[object, ...]]:
        url = sqlalchemy.URL.create(
            "postgresql+psycopg",
            username="dicebox",
            password=password,
            host="127.0.0.1",
            port=self.port,
            database="boxes",
        )
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                result = connection.exec_driver_sql(statement)
                return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            engine.dispose()

    def _answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except sqlalchemy.exc.OperationalError:
            return False
        return True


def test_a_database_is_made_once_and_found_again(postgres_container: Container) -> None:
    postgres_container.secret(PASSWORD + "\n")
    database = Database(postgres_container)
    database.start()
    database.run("CREATE TABLE things (name text)")
    database.run("INSERT INTO things VALUES ('kept')")
    assert database.run("SHOW data_checksums") == [("on",)]
    assert database.run("SHOW server_encoding") == [("UTF8",)]
    assert database.run("SHOW max_connections") == [("200",)]
    with pytest.raises(sqlalchemy.exc.OperationalError, match="password authentication failed"):
        database.run("SELECT 1", password="another")
    postgres_container.stop()

    # The password is in the database by now; the secret is not asked for again.
    postgres_container.secret("")
    database.start()
    assert database.run("SELECT name FROM things") == [("kept",)]


def test_a_first_start_that_was_cut_off_begins_anew(postgres_container: Container) -> None:
    half = postgres_container.folder / "volume" / "15.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("15\n")
    if postgres_container.user:
        shutil.chown(half, postgres_container.user)
    postgres_container.secret(PASSWORD)
    database = Database(postgres_container)
    database.start()
    assert database.run("SELECT 1") == [(1,)]
    assert not half.exists()


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (None, "POSTGRES_PASSWORD_FILE: cannot read"),
        ("", "is empty"),
        ("\n", "is empty"),
    ],
)
def test_no_database_is_made_without_a_password(
    postgres_container: Container, secret: str | None, said: str
) -> None:
    if secret is not None:
        postgres_container.secret(secret)
    assert said in postgres_container.refused()
    assert list((postgres_container.folder / "volume").iterdir()) == []


def test_what_a_database_cannot_start_on_is_named(postgres_container: Container) -> None:
    volume = postgres_container.folder / "volume"
    data = volume / "15"
    postgres_container.secret(PASSWORD)
    assert "there is no such folder" in postgres_container.refused(PGDATA="/nowhere/data/15")
    assert "may not write there" in _unwritable(postgres_container)
    assert "lower-case letters" in postgres_container.refused(POSTGRES_DB='x"; DROP')
    assert "POSTGRES_PASSWORD_FILE is not set" in postgres_container.refused(
        POSTGRES_PASSWORD_FILE=""
    )
    data.mkdir()
    (data / "letter").write_text("somebody's")
    assert "holds files, but no database" in postgres_container.refused()
    (data / "PG_VERSION").write_text("9\n")
    assert "is of PostgreSQL 9" in postgres_container.refused()
    assert (data / "letter").read_text() == "somebody's"


def test_a_database_keeps_off_network_file_systems(postgres_container: Container) -> None:
    _have_stat_say(postgres_container, "nfs")
    postgres_container.secret(PASSWORD)
    assert "on a network file system" in postgres_container.refused()


@pytest.fixture
def rabbit_container() -> Iterator[Container]:
    if not is_installed():
        missing_program("rabbitmq-server")

    def environ(folder: Path) -> dict[str, str]:
        conf = folder / "conf.d"
        conf.mkdir()
        port = str(free_port())
        for place, name in (("20-dicebox", "rabbitmq"), ("25-stack", "stack")):
            shipped = (DOCKER.parent / "rabbitmq" / f"{name}.conf").read_text(encoding="utf-8")
            # Ports of the test's own.
            own = shipped.replace("5672", port).replace("15692", str(free_port()))
            (conf / f"{place}.conf").write_text(own)
        (folder / "plugins").write_text("[rabbitmq_prometheus].\n")
        return {
            "PATH": "/usr/lib/rabbitmq/bin:/usr/bin:/bin",
            "HOME": str(folder / "volume"),
            "AMQP_PORT": port,
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "rabbit@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILES": str(conf),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "volume" / "config"),
            "RABBITMQ_MNESIA_BASE": str(folder / "volume" / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "volume" / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_USERS_FILE": str(conf / "30-users.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none",
        }

    with _container("rabbitmq", environ) as container:
        # A broker would start one that outlives it.
        mapper = ["epmd", "-port", container.environ["ERL_EPMD_PORT"], "-address", "127.0.0.1"]
        process = started_server(mapper, container.folder, {}, user=container.user)
        yield container
        container.stop()
        kill_group(process)


def _connected(container: Container, user: str, password: str) -> pika.BlockingConnection:
    credentials = pika.PlainCredentials(user, password)
    port = int(container.environ["AMQP_PORT"])
    where = pika.ConnectionParameters("127.0.0.1", port, "dicebox", credentials)
    return pika.BlockingConnection(where)


def test_a_broker_has_the_user_of_the_secret_alone_and_finds_its_queues_again(
    rabbit_container: Container,
) -> None:
    users = Path(rabbit_container.environ["RABBITMQ_USERS_FILE"])
    users.write_text("default_user = dicebox\ndefault_pass = word\ndefault_vhost = dicebox\n")

    def answers() -> bool:
        try:
            _connected(rabbit_container, "dicebox", "word").close()
        except pika.exceptions.AMQPConnectionError:
            return False
        return True

    rabbit_container.start(answers=answers)
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        _connected(rabbit_container, "guest", "guest")
    with _connected(rabbit_container, "dicebox", "word") as connection:
        channel = connection.channel()
        channel.queue_declare("orders", durable=True)
        channel.confirm_delivery()
        lasting = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", "orders", b"kept", lasting)
    rabbit_container.stop()

    rabbit_container.start(answers=answers)
    with _connected(rabbit_container, "dicebox", "word") as connection:
        assert connection.channel().basic_get("orders")[2] == b"kept"


@pytest.mark.parametrize(
    ("users", "said"),
    [
        (None, "is not there"),
        ("", "is empty"),
        ("default_user = dicebox\n", "default_pass is not set"),
        ("default_user = dicebox\ndefault_pass =\n", "default_pass is not set"),
    ],
)
def test_a_broker_does_not_start_with_the_password_that_all_have(
    rabbit_container: Container, users: str | None, said: str
) -> None:
    if users is not None:
        Path(rabbit_container.environ["RABBITMQ_USERS_FILE"]).write_text(users)
    assert said in rabbit_container.refused()


def test_a_broker_names_a_folder_that_it_cannot_use(rabbit_container: Container) -> None:
    users = Path(rabbit_container.environ["RABBITMQ_USERS_FILE"])
    users.write_text("default_user = dicebox\ndefault_pass = word\n")
    assert "may not write there" in rabbit_container.refused(RABBITMQ_MNESIA_BASE="/proc/mnesia")
    _have_stat_say(rabbit_container, "nfs")
    assert "on a network file system" in rabbit_container.refused()


def _have_stat_say(container: Container, file_system: str) -> None:
    """Stand for a mounted network file system, which no test can count on."""
    programs = container.folder / "programs"
    programs.mkdir()
    (programs / "stat").write_text(f"#!/bin/sh\necho {file_system}\n")
    (programs / "stat").chmod(0o755)
    container.environ["PATH"] = f"{programs}:{container.environ['PATH']}"


def _unwritable(container: Container) -> str:
    volume = container.folder / "volume"
    volume.chmod(0o555)
    try:
        return container.refused()
    finally:
        volume.chmod(0o755)
