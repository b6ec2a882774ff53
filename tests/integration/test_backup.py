"""Backups of a real PostgreSQL and a folder of blobs, and the command around them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy
from click.testing import CliRunner, Result
from sqlalchemy import Connection

from commons.adapters.file_blobs import FileBlobs
from deploy.backup import backup
from tests.builders import png_bytes
from tests.dicebox_processes import until
from tests.servers import Postgres, missing_program

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "deploy" / "docker" / "postgres"
SENTINEL = ".dicebox-volume"


@dataclass
class State:
    """A database, blobs and backups of them; what is in `programs` comes before the real one."""

    folder: Path
    postgres: Postgres
    url: str

    def __post_init__(self) -> None:
        for folder in (self.backups, self.blobs, self.programs):
            folder.mkdir(parents=True)
        (self.blobs / SENTINEL).write_text("the right volume")
        (self.folder / "secret").write_text(f"{self.url}\n")

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def blobs(self) -> Path:
        return self.folder / "volume" / "blobs"

    @property
    def programs(self) -> Path:
        return self.folder / "programs"

    @property
    def path(self) -> str:
        return f"{self.programs}:{self.postgres.programs}:{os.environ['PATH']}"

    def start(self, script: str, *arguments: object, **environ: str) -> subprocess.Popen[str]:
        given = {
            "PATH": self.path,
            "DATABASE_URL_FILE": str(self.folder / "secret"),
            "BLOBS": str(self.blobs),
            "SENTINEL": SENTINEL,
            "OWNER": f"{os.getuid()}:{os.getgid()}",
        }
        return subprocess.Popen(
            [SCRIPTS / f"{script}.sh", str(self.backups), *map(str, arguments)],
            env={**given, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, script: str, *arguments: object, **environ: str) -> tuple[int, str]:
        """Return how a script ended, and the last line that it said."""
        process = self.start(script, *arguments, **environ)
        out, err = process.communicate(timeout=60)
        return process.returncode, (err if process.returncode else out).splitlines()[-1]

    def save(self) -> str:
        """Return the time of a new backup."""
        code, said = self.run("backup")
        assert code == 0, said
        return said.split()[1].rstrip(":")

    def times(self) -> list[str]:
        return sorted(each.name for each in self.backups.glob("[0-9]*Z"))

    def put(self, *names: str) -> None:
        FileBlobs(self.blobs).put_many([(name, f"bytes of {name}".encode()) for name in names])

    def names(self) -> set[str]:
        return set(FileBlobs(self.blobs).names())

    def do(self, *statements: str) -> None:
        with self._connected() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def words(self) -> list[str]:
        with self._connected() as connection:
            rows = connection.exec_driver_sql("SELECT word FROM words ORDER BY id")
            return [row.word for row in rows]

    def _connected(self) -> Connection:
        # A pool would stay connected, and its session keep a restore from beginning.
        engine = sqlalchemy.create_engine(
            self.url.replace("postgresql:", "postgresql+psycopg:"),
            poolclass=sqlalchemy.NullPool,
            isolation_level="AUTOCOMMIT",
        )
        return engine.connect()

    def pretend(self, program: str, *lines: str) -> None:
        """Have a program do something else, from now on."""
        file = self.programs / program
        file.write_text("\n".join(["#!/bin/bash", *lines, ""]))
        file.chmod(0o755)


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """Give a database that is emptied for each test: to remove one takes half a second."""
    return postgres.new_database()


@pytest.fixture
def state(tmp_path: Path, postgres: Postgres, database: str) -> State:
    if shutil.which("rsync") is None:
        missing_program("rsync")
    state = State(tmp_path, postgres, database)
    state.do(
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "CREATE TYPE colour AS ENUM ('black', 'white')",
        "CREATE TABLE words (id SERIAL PRIMARY KEY, word TEXT, colour colour)",
        "INSERT INTO words (word) VALUES ('first'), ('second')",
    )
    state.put("images/ab/one", "images/cd/two", "shards/ef/three")
    return state


def test_what_was_changed_and_erased_since_is_there_again(state):
    time = state.save()
    state.do("DELETE FROM words", "INSERT INTO words (word) VALUES ('later')")
    state.do("CREATE TABLE newer (id INT)", "ALTER TABLE words ADD COLUMN newer INT")
    FileBlobs(state.blobs).delete("images/ab/one")
    (state.blobs / "images/cd/two").write_text("damaged")
    state.put("images/ab/later")
    assert state.run("restore") == (0, f"restored {time}: 1 tables, 3 blobs")
    assert state.words() == ["first", "second"]
    for name in ("images/ab/one", "images/cd/two", "shards/ef/three"):
        assert FileBlobs(state.blobs).get(name) == f"bytes of {name}".encode()
    # It hurts nobody, and may be what somebody stored an hour ago.
    assert "images/ab/later" in state.names()
    state.do("INSERT INTO words (word, colour) VALUES ('third', 'white')")


def test_an_earlier_time_can_be_asked_for(state):
    first = state.save()
    state.do("INSERT INTO words (word) VALUES ('third')")
    assert state.save() != first
    assert state.run("restore", first)[0] == 0
    assert state.words() == ["first", "second"]
    assert state.run("restore")[0] == 0
    assert state.words() == ["first", "second", "third"]
    assert state.run("restore", "20010101T000000Z")[1].endswith("has no backup 20010101T000000Z")
    assert state.run("restore", "../backups")[1].endswith("is no time of a backup")


def test_a_second_backup_copies_what_is_new_and_keeps_what_was_good(state):
    state.save()
    kept = state.backups / "blobs" / "images/ab/one"
    before = kept.stat()
    state.put("images/ab/new")
    # Gone bad on the disk; the copy is good.
    (state.blobs / "images/ab/one").write_text("rotten, and of another length")
    code, said = state.run("backup")
    assert code == 0
    assert said.endswith("4 blobs, 1 of them new")
    assert (kept.stat().st_ino, kept.stat().st_mtime) == (before.st_ino, before.st_mtime)
    assert kept.read_text() == "bytes of images/ab/one"


def test_what_is_no_blob_is_not_backed_up(state):
    (state.blobs / ".temporary").mkdir(exist_ok=True)
    (state.blobs / ".temporary" / "half").write_text("half")
    state.save()
    names = (state.backups / state.times()[0] / "blobs.txt").read_text().splitlines()
    assert names == ["images/ab/one", "images/cd/two", "shards/ef/three"]
    assert not list((state.backups / "blobs").glob(".*"))


@pytest.mark.parametrize("program", ["pg_dump", "rsync", "sha256sum"])
def test_a_backup_that_was_cut_off_is_none_and_the_next_one_is_whole(state, program):
    state.pretend(program, f"touch {state.folder}/began", "sleep 60")
    process = state.start("backup")
    until((state.folder / "began").exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert state.times() == []
    assert state.run("restore")[1].endswith("holds no backup")
    (state.programs / program).unlink()
    state.save()
    assert len(state.times()) == 1
    assert not list(state.backups.glob(".unfinished-*"))
    assert state.run("restore")[0] == 0


def test_one_backup_at_a_time(state):
    state.pretend("rsync", f"touch {state.folder}/began", "sleep 60")
    process = state.start("backup")
    until((state.folder / "began").exists)
    assert state.run("backup")[1].endswith("is under way")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("end", ["exit 1", "kill -9 $PPID"])
def test_a_restore_that_was_cut_off_leaves_the_tables_as_they_were(state, end):
    state.save()
    state.do("INSERT INTO words (word) VALUES ('acknowledged since')")
    real = state.postgres.programs / "pg_restore"
    state.pretend("pg_restore", f'"{real}" "$@" | head -n 30', end)
    code, said = state.run("restore")
    assert (code, said) == (1, "restore: the tables were left as they were")
    assert state.words() == ["first", "second", "acknowledged since"]


def test_a_restore_into_a_database_that_is_used_is_refused(state):
    state.save()
    with state._connected():
        code, said = state.run("restore")
        assert (code, said) == (
            1,
            "restore: 1 sessions use the database: end the services first",
        )
    assert state.words() == ["first", "second"]
    assert not (state.backups / "replaced").exists()


def test_what_a_restore_replaces_is_kept_and_where_it_cannot_be_nothing_is_replaced(state):
    state.save()
    state.do("INSERT INTO words (word) VALUES ('third')")
    assert state.run("restore")[0] == 0
    (kept,) = (state.backups / "replaced").iterdir()
    real = [state.postgres.programs / "pg_restore", "--data-only", "--file=-", kept]
    assert "third" in subprocess.run(real, capture_output=True, text=True, check=True).stdout
    state.pretend("pg_dump", "exit 1")
    assert "cannot be kept" in state.run("restore")[1]
    assert state.words() == ["first", "second"]


def test_a_damaged_backup_is_refused_before_anything_is_changed(state):
    time = state.save()
    dump = state.backups / time / "tables.dump"
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "SHA256SUMS do not hold" in state.run("restore")[1]
    dump.write_bytes(whole)
    (state.backups / "blobs" / "images/ab/one").unlink()
    assert "1 of its blobs are not in" in state.run("restore")[1]
    assert state.words() == ["first", "second"]


@pytest.mark.parametrize("script", ["backup", "restore"])
def test_a_shared_folder_that_is_not_mounted_is_no_folder_of_blobs(state, script):
    state.save()
    (state.blobs / SENTINEL).unlink()
    code, said = state.run(script)
    assert code == 1
    assert said.startswith(f"{script}: {state.blobs} has no {SENTINEL}")
    assert len(state.times()) == 1


def test_with_the_blobs_in_a_bucket_the_tables_alone_are_saved(state):
    assert state.run("backup", BLOBS="", SENTINEL="")[0] == 0
    state.do("DELETE FROM words")
    assert state.run("restore", BLOBS="", SENTINEL="")[0] == 0
    assert state.words() == ["first", "second"]
    state.save()
    assert "BLOBS does not say" in state.run("restore", BLOBS="")[1]


@pytest.mark.parametrize("text", ["", "\n", "sqlite:///file", "postgresql://nobody", "words"])
def test_an_address_that_is_none_is_said_in_one_line(state, text):
    (state.folder / "secret").write_text(text)
    process = state.start("backup")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("backup: DATABASE_URL_FILE: ")
    assert err.count("\n") == 1
    assert not text.strip() or text.strip() not in err.replace("postgresql://user:", "")


def test_the_password_is_in_no_list_of_processes(state):
    (state.folder / "secret").write_text("postgresql+psycopg://me:p%40ss@127.0.0.1:1/name\n")
    state.pretend(
        "pg_dump", f'echo "$*" > {state.folder}/words; echo "$PGPASSWORD" >> {state.folder}/words'
    )
    state.run("backup")
    words, password = (state.folder / "words").read_text().splitlines()
    assert words.endswith(" postgresql://me@127.0.0.1:1/name")
    assert password == "p@ss"


def test_a_database_or_a_disk_that_is_away_leaves_no_backup(state):
    (state.folder / "secret").write_text("postgresql://me@127.0.0.1:1/name\n")
    assert state.run("backup") == (1, "backup: the tables cannot be read")
    (state.folder / "secret").write_text(f"{state.url}\n")
    state.pretend("rsync", "exit 11")
    assert state.run("backup") == (1, "backup: not all blobs could be copied")
    assert state.times() == []


# In a process of its own, whose connections end with it.
SERVICE = """
import sys
from pathlib import Path
from sensory_service.app import Settings, create_app
data, tables, blobs, method, path = sys.argv[1:]
settings = Settings(data=Path(data), database_url=tables, blobs_url=blobs)
client = create_app(settings).test_client()
reply = client.open(path, method=method, data=sys.stdin.buffer.read(), content_type="image/png")
print(reply.status_code, flush=True)
sys.stdout.buffer.write(reply.data)
"""


def asked(state: State, url: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Return what a sensory service on these tables and blobs answers."""
    words = [str(state.folder / "data"), url, str(state.blobs), method, f"/api/sensory/v1/{path}"]
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, *words], input=body, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    status, _, answer = done.stdout.partition(b"\n")
    return int(status), answer


def test_a_real_service_finds_its_images_in_an_empty_house(state, postgres):
    used, empty = postgres.new_database(), postgres.new_database()
    upload = "datasets/pets/images?category=cat"
    status, stored = asked(state, used, "POST", upload, png_bytes())
    assert status == 201
    (state.folder / "secret").write_text(f"{used}\n")
    state.save()

    shutil.rmtree(state.blobs)
    state.blobs.mkdir()
    (state.blobs / SENTINEL).write_text("a new volume")
    (state.folder / "secret").write_text(f"{empty}\n")
    assert state.run("restore")[0] == 0
    assert any(sha256_of(name) == json.loads(stored)["image"] for name in state.names())
    # Who knows it again has its tables again.
    status, known = asked(state, empty, "POST", upload, png_bytes())
    assert (status, json.loads(known)["duplicate"]) == (200, True)


def sha256_of(blob: str) -> str:
    return blob.rpartition("/")[2]


class Swarm:
    """What stands for a swarm: see `tests/swarm_stub.py`."""

    def __init__(self, state: State) -> None:
        self.folder = state.folder
        example = {
            "Image": "dicebox/sensory:1",
            "Env": [
                "DICEBOX_DATABASE_URL_FILE=/run/secrets/database_url",
                f"DICEBOX_BLOBS_URL=file:///dicebox/blobs?sentinel={SENTINEL}",
            ],
            "Secrets": [
                {"File": {"Name": "admin_key"}, "SecretName": "dicebox_admin_key_1"},
                {"File": {"Name": "database_url"}, "SecretName": "dicebox_database_url_2"},
            ],
            "Mounts": [
                {"Type": "volume", "Target": "/var/lib/dicebox"},
                {
                    "Type": "volume",
                    "Source": "dicebox_blobs_ab",
                    "Target": "/dicebox",
                    "VolumeOptions": {
                        "DriverConfig": {
                            "Name": "local",
                            "Options": {"type": "nfs", "o": "addr=a.b,hard", "device": ":/"},
                        }
                    },
                },
            ],
        }
        self.write(
            sensory_service=example,
            job_worker=example,
            trainer={"Image": "dicebox/trainer:1"},
            postgres={"Image": "dicebox/postgres:1"},
        )

    def write(self, **containers: dict) -> None:
        services = [
            {
                "Spec": {
                    "Name": f"dicebox_{name}",
                    "Mode": {"Replicated": {"Replicas": 2}},
                    "TaskTemplate": {"ContainerSpec": container},
                }
            }
            for name, container in containers.items()
        ]
        (self.folder / "services.json").write_text(json.dumps(services))

    def run(self, *words: object, path: str) -> Result:
        stub = f"{sys.executable} {ROOT / 'tests' / 'swarm_stub.py'} {self.folder}"
        environ = {"DOCKER": stub, "PATH": path, "PYTHONPATH": str(ROOT)}
        return CliRunner().invoke(backup, [str(word) for word in words], env=environ)

    def calls(self, *words: str) -> list[list[str]]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [call for call in map(json.loads, lines) if call[: len(words)] == list(words)]


@pytest.fixture
def swarm(state: State) -> Swarm:
    return Swarm(state)


def test_the_command_saves_lists_and_restores_with_what_the_stack_has(state, swarm):
    saved = swarm.run("save", state.backups, path=state.path)
    assert saved.exit_code == 0, saved.output
    assert "3 blobs, 3 of them new" in saved.output
    (create,) = swarm.calls("service", "create")
    assert "source=dicebox_database_url_2,target=database_url" in create
    assert "node.id==node-1" in create
    assert (
        "type=volume,source=dicebox_blobs_ab,destination=/dicebox,volume-nocopy=true,"
        'volume-driver=local,volume-opt=type=nfs,"volume-opt=o=addr=a.b,hard",volume-opt=device=:/'
    ) in create
    name = create[create.index("--name") + 1]
    assert swarm.calls("service", "rm") == [["service", "rm", name]]
    assert swarm.calls("rm") == [["rm", "--force", "--volumes", "ended-1"]]

    listed = swarm.run("list", state.backups, path=state.path)
    assert listed.output.startswith(state.times()[0])
    assert "3 blobs, 3 of them new" in listed.output

    state.do("DELETE FROM words")
    refused = swarm.run("restore", state.backups, path=state.path)
    assert refused.exit_code == 1
    assert "--stop ends them: dicebox_sensory_service, dicebox_job_worker" in refused.output
    restored = swarm.run("restore", state.backups, "--stop", path=state.path)
    assert restored.exit_code == 0, restored.output
    assert state.words() == ["first", "second"]
    scales = [call[3:] for call in swarm.calls("service", "scale")]
    assert scales == [
        ["dicebox_sensory_service=0", "dicebox_job_worker=0"],
        ["dicebox_sensory_service=2", "dicebox_job_worker=2"],
    ]


def test_a_script_that_fails_is_told_in_its_own_words_and_services_start_again(state, swarm):
    state.save()
    (state.backups / "blobs" / "images/ab/one").unlink()
    refused = swarm.run("restore", state.backups, "--stop", path=state.path)
    assert refused.exit_code == 1
    assert "1 of its blobs are not in" in refused.output
    assert swarm.calls("service", "scale")[-1][3:] == [
        "dicebox_sensory_service=2",
        "dicebox_job_worker=2",
    ]
    assert len(swarm.calls("service", "rm")) == 1


def test_what_is_missing_is_said_before_anything_is_stopped(state, swarm):
    nothing = swarm.run("restore", state.backups, "--stop", path=state.path)
    assert "has no backup" in nothing.output
    assert "holds no backup" in swarm.run("list", state.backups, path=state.path).output
    state.save()
    assert "has no backup then" in swarm.run(
        *("restore", state.backups, "--stop", "--at", "then"), path=state.path
    ).output  # fmt: skip
    swarm.write(postgres={"Image": "dicebox/postgres:1"})
    away = swarm.run("save", state.backups, path=state.path)
    assert "no stack dicebox is deployed" in away.output
    alone = {
        "Image": "dicebox/sensory:1",
        "Env": [
            "DICEBOX_DATABASE_URL_FILE=/run/secrets/database_url",
            "DICEBOX_BLOBS_URL=file:///var/lib/dicebox/blobs",
        ],
        "Secrets": [{"File": {"Name": "database_url"}, "SecretName": "dicebox_database_url_1"}],
        "Mounts": [{"Type": "volume", "Target": "/var/lib/dicebox"}],
    }
    swarm.write(sensory_service=alone)
    assert "on no volume of the stack" in swarm.run("save", state.backups, path=state.path).output
    bucket = {**alone, "Env": [alone["Env"][0], "DICEBOX_BLOBS_URL=s3://bucket/blobs"]}
    swarm.write(sensory_service=bucket)
    assert "say --image" in swarm.run("save", state.backups, path=state.path).output
    swarm.write(sensory_service=bucket, postgres={"Image": "dicebox/postgres:1"})
    saved = swarm.run("save", state.backups, path=state.path)
    assert saved.exit_code == 0, saved.output
    assert "blobs in a bucket" in swarm.run("list", state.backups, path=state.path).output
