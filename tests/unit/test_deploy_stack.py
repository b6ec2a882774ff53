"""What the files of the stack say, and what is made to fill them in; no engine is asked."""

import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from commons.auth import StoredKey, present_key
from commons.errors import ConflictError, InvalidInputError, UnavailableError
from deploy.stack import stack
from deploy.stack_checks import faults, swarm_faults
from deploy.stack_engine import Docker, DockerError
from deploy.stack_names import FOLDER, IMAGES, as_shell, stack_names
from deploy.stack_secrets import (
    OUTSIDE,
    PARTS,
    missing_parts,
    new_secrets,
    secret_name,
    write_secret,
)
from deploy.stack_watch import (
    RolledBackError,
    services,
    troubles,
    wait_until_gone,
    wait_until_whole,
)
from sensory_service.app import Settings as SensorySettings

WHERE = {"BLOBS_DEVICE": "/srv/dicebox"}


def read(name: str) -> dict:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def seconds(text: str) -> float:
    return float(text[:-1]) * {"s": 1.0, "m": 60.0}[text[-1]]


@pytest.fixture(params=sorted(read("stack.yml")["services"]))
def service(request) -> tuple[str, dict]:
    return request.param, read("stack.yml")["services"][request.param]


# The files


def test_the_services_are_those_that_others_name():
    assert set(read("stack.yml")["services"]) == {
        *("sensory_service", "batch_processor", "classification_service", "job_worker"),
        *("evolver", "evolver_runner", "trainer", "rabbitmq", "postgres", "nginx"),
    }


def test_every_service_is_bounded_confined_and_watched(service):
    _, said = service
    resources = said["deploy"]["resources"]
    assert {"memory", "pids"} <= set(resources["limits"])
    assert "memory" in resources["reservations"]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert not said["user"].startswith("0")
    assert said["deploy"]["endpoint_mode"] == "dnsrr"
    assert said["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert said["deploy"]["restart_policy"] == {"condition": "any", "delay": "2s"}


def test_only_nginx_has_ports_and_in_host_mode(service):
    name, said = service
    assert ("ports" in said) == (name == "nginx")
    for port in said.get("ports", ()):
        assert port["mode"] == "host"


def test_an_update_that_does_not_come_up_is_taken_back(service):
    name, said = service
    update = said["deploy"]["update_config"]
    # In the images, the runner, RabbitMQ and PostgreSQL: every 3 s, five times.
    health = said.get("healthcheck", {"interval": "3s", "retries": 5})
    assert update["failure_action"] == "rollback"
    assert seconds(update["monitor"]) > seconds(health["interval"]) * health["retries"]
    in_place = name in {"nginx", "trainer", "rabbitmq", "postgres"}
    assert update["order"] == ("stop-first" if in_place else "start-first")
    # Docker wants a rollback to have no failure action "rollback".
    assert said["deploy"]["rollback_config"]["failure_action"] == "pause"


@pytest.mark.parametrize(
    ("name", "longest_s"),
    [
        ("nginx", 75.0),  # proxy_read_timeout
        ("sensory_service", 600.0),  # freezing
        ("classification_service", 60.0),  # DICEBOX_DRAIN_S
        ("evolver", 55.0),  # longest_watch_s
        ("trainer", 20.0),  # DICEBOX_GRACE_S
    ],
)
def test_whoever_is_ended_may_finish_its_longest_request(name, longest_s):
    assert seconds(read("stack.yml")["services"][name]["stop_grace_period"]) > longest_s


def test_secrets_are_never_in_the_file_and_every_one_is_made():
    said = read("stack.yml")
    assert {name for part in PARTS.values() for name in part} - OUTSIDE == set(said["secrets"])
    for secret in said["secrets"].values():
        assert secret["external"] is True
    for service in said["services"].values():
        for name, value in service.get("environment", {}).items():
            if any(word in name for word in ("KEY", "PASSWORD", "DATABASE", "BROKER")):
                assert name in {"KEY_RATE", "DICEBOX_KEYS"} or value.startswith("/run/secrets/")


def test_a_service_is_told_only_of_secrets_that_it_is_given():
    for name, said in read("stack.yml")["services"].items():
        given = {
            each if isinstance(each, str) else each["source"] for each in said.get("secrets", ())
        }
        read_by_it = {"DATABASE_URL", "ADMIN_KEY", "GIVEN_KEYS", "KEY", "BROKER_URL"}
        for variable, value in said.get("environment", {}).items():
            if not str(value).startswith("/run/secrets/"):
                continue
            setting = variable.removeprefix("DICEBOX_").removesuffix("_FILE")
            if setting in read_by_it and not (name == "trainer" and setting == "DATABASE_URL"):
                assert value.rpartition("/")[2] in given, (name, variable)


def test_the_front_knows_where_the_others_are():
    said = read("stack.yml")["services"]["sensory_service"]["environment"]
    environ = {name: value for name, value in said.items() if not name.endswith("_FILE")}
    environ["DICEBOX_BLOBS_URL"] = "/tmp/blobs"  # the value is docker's to fill in
    settings = SensorySettings.from_env(
        {name: value for name, value in environ.items() if "$" not in value}
    )
    assert set(settings.services) == {
        "/api/sensory/v1",
        "/api/evolution/v1",
        "/api/classification/v1",
    }


@pytest.mark.parametrize("name", ["single-node.yml", "gpu.yml", "encrypted.yml"])
def test_what_is_laid_over_the_stack_names_nothing_that_is_not_there(name):
    said = read(name)
    assert said["version"] == read("stack.yml")["version"]
    for kind in ("services", "networks"):
        assert set(said.get(kind, ())) <= set(read("stack.yml")[kind])


def test_compose_runs_the_same_services_with_the_same_environment():
    stack, compose = read("stack.yml")["services"], read("compose.yml")["services"]
    assert set(stack) == set(compose)
    for name, said in stack.items():
        for key in ("image", "user", "read_only", "cap_drop", "environment", "stop_grace_period"):
            assert compose[name].get(key) == said.get(key), (name, key)
        assert compose[name].get("stop_signal") == said.get("stop_signal")


def test_every_image_of_the_stack_is_named():
    asked = {said["image"].split(":")[0].removeprefix("${") for said in _services("stack.yml")}
    assert asked == set(IMAGES)


def _services(name: str) -> list[dict]:
    return list(read(name)["services"].values())


# Their names


def test_no_message_of_a_missing_name_has_what_docker_takes_for_a_default():
    for file in ("stack.yml", "gpu.yml", "compose.yml"):
        for part in (FOLDER / file).read_text(encoding="utf-8").split("${")[1:]:
            _, missing, message = part.partition("}")[0].partition(":?")
            # 20.10 reads ${NAME:?a-b} as NAME, or else b.
            assert not missing or not message, part[:40]


def test_names_are_the_same_twice_and_change_with_what_they_stand_for(tmp_path):
    (tmp_path / "rabbitmq").mkdir()
    for file in ("rabbitmq.conf", "stack.conf"):
        (tmp_path / "rabbitmq" / file).write_text("heartbeat = 60\n")
    first = stack_names(WHERE, "1", tmp_path)
    assert first == stack_names(WHERE, "1", tmp_path)
    (tmp_path / "rabbitmq" / "stack.conf").write_text("heartbeat = 61\n")
    second = stack_names(WHERE, "1", tmp_path)
    assert {name for name in first if first[name] != second[name]} == {"RABBITMQ_STACK"}
    moved = stack_names({"BLOBS_DEVICE": "/mnt/other"}, "1", tmp_path)
    assert moved["BLOBS_VERSION"] != first["BLOBS_VERSION"]


def test_every_name_that_the_stack_asks_for_is_there():
    names = stack_names(WHERE)
    text = (FOLDER / "stack.yml").read_text(encoding="utf-8")
    asked = {part.split(":")[0] for part in text.split("${")[1:] if ":?" in part.split("}")[0]}
    assert asked <= set(names)


def test_what_the_environment_says_is_taken_and_a_tag_is_everybodys():
    names = stack_names(
        {**WHERE, "POSTGRES_IMAGE": "postgres:15", "IMAGES": "host:5000/dicebox"}, "7"
    )
    assert names["POSTGRES_IMAGE"] == "postgres:15"
    assert names["SENSORY_IMAGE"] == "host:5000/dicebox/sensory:7"
    assert (
        stack_names({**WHERE, "SECRETS_VERSION": "3", "KEYS_VERSION": "4"})["ADMIN_VERSION"] == "3"
    )
    assert (
        stack_names({**WHERE, "SECRETS_VERSION": "3", "KEYS_VERSION": "4"})["KEYS_VERSION"] == "4"
    )


def test_where_the_blobs_are_must_be_said():
    with pytest.raises(InvalidInputError, match="BLOBS_TYPE, BLOBS_OPTIONS, BLOBS_DEVICE: not set"):
        stack_names({})
    with pytest.raises(InvalidInputError, match="BLOBS_TYPE, BLOBS_OPTIONS: not set"):
        stack_names({"BLOBS_DEVICE": ":/"})
    assert stack_names({"BLOBS_URL": "s3://bucket/prefix"})["BLOBS_TYPE"] == "tmpfs"
    assert stack_names(WHERE)["BLOBS_OPTIONS"] == "bind"


def test_the_names_can_be_handed_to_a_shell():
    nfs = {"BLOBS_TYPE": "nfs4", "BLOBS_OPTIONS": "addr=1.2.3.4,hard $x", "BLOBS_DEVICE": ":/"}
    lines = "\n".join(as_shell(stack_names(nfs)))
    said = subprocess.run(
        ["sh", "-c", f'{lines}\nprintf %s "$BLOBS_OPTIONS"'],
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout == nfs["BLOBS_OPTIONS"]


# Secrets


def test_a_password_is_the_same_in_both_places_and_new_every_time():
    first, second = (new_secrets("database", os.urandom, 0.0) for _ in range(2))
    assert first != second
    assert f":{first['postgres_password']}@postgres:5432/" in first["database_url"]
    broker = new_secrets("broker", os.urandom, 0.0)
    password = broker["broker_url"].split(":")[2].split("@")[0]
    assert f"default_pass = {password}\n" in broker["rabbitmq_users"]
    assert len(password) >= 32


def test_given_keys_are_those_that_services_are_given():
    made = new_secrets("keys", os.urandom, 12.0)
    given = [StoredKey.model_validate(each) for each in json.loads(made["given_keys"])]
    assert {key.name for key in given} == {"worker", "classification", "metrics"}
    for key in given:
        presented = present_key(made[f"{key.name}_key"])
        assert presented is not None
        assert presented.sha256 == key.sha256
        assert "admin" not in key.scopes
    assert made["worker_key"] not in made["given_keys"]


def test_secrets_of_one_part_are_made_together_or_not_at_all():
    def name(secret: str) -> str:
        return secret_name("dicebox", secret, {"KEYS_VERSION": "2"})

    assert name("worker_key") == "dicebox_worker_key_2"
    assert name("admin_key") == "dicebox_admin_key_1"
    assert missing_parts([], name) == list(PARTS)
    assert missing_parts(["dicebox_admin_key_1"], name) == ["database", "broker", "keys"]
    with pytest.raises(ConflictError, match="dicebox_database_url_1: there, but not dicebox_post"):
        missing_parts(["dicebox_database_url_1"], name)


def test_a_secret_in_a_file_is_its_readers_alone_and_never_written_over(tmp_path):
    write_secret(tmp_path / "secrets", "admin_key", "a")
    file = tmp_path / "secrets" / "admin_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    if os.geteuid() == 0:
        assert file.stat().st_uid == 10001
    with pytest.raises(FileExistsError):
        write_secret(tmp_path / "secrets", "admin_key", "b")
    assert file.read_text() == "a"


# The engine, played by a script that answers what a file says


@pytest.fixture
def played(tmp_path):
    """Give a client whose answers are files: `docker service ls …` reads `service ls`."""
    program = tmp_path / "docker"
    program.write_text(
        '#!/bin/sh\ncd "$(dirname "$0")"\necho "$*" >> asked\n'
        'for name in "$1 $2 $3" "$1 $2" "$1"; do\n'
        '  [ -e "$name" ] && exec cat "$name"\ndone\n'
        'echo "Error: nothing is known of $*" >&2; exit 1\n'
    )
    program.chmod(0o755)
    return Docker((str(program),)), tmp_path


def say(folder: Path, name: str, value: object) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    (folder / name).write_text(text + "\n")


def test_a_client_that_fails_is_quoted_in_one_line(played):
    docker, _ = played
    with pytest.raises(DockerError, match=r"^docker volume ls: nothing is known of volume ls$"):
        docker("volume", "ls")
    with pytest.raises(DockerError, match="No such file"):
        Docker(("/nonexistent/docker",))("info")


def test_secrets_outlive_their_stack_and_only_the_admin_key_is_shown(played, monkeypatch):
    docker, folder = played
    say(folder, "info", "active true")
    say(folder, "secret ls", "dicebox_postgres_password_1\ndicebox_database_url_1")
    say(folder, "secret create", "")
    monkeypatch.setenv("DOCKER", docker.command[0])
    said = CliRunner().invoke(stack, ["secrets"], catch_exceptions=False)
    asked = (folder / "asked").read_text()
    # What has the stack's label goes with `docker stack rm`: passwords that the volumes still have.
    assert "com.docker.stack.namespace" not in asked
    assert asked.count("secret create") == 7
    assert "database" not in said.output
    assert said.output.count("dbx_") == 1
    assert "dbx_" not in asked


@pytest.mark.parametrize(
    ("state", "words"),
    [("inactive false", "in no swarm: docker swarm init"), ("active false", "no manager")],
)
def test_an_engine_without_a_swarm_is_told_what_to_do(played, state, words):
    docker, folder = played
    say(folder, "info", state)
    (found,) = swarm_faults(docker)
    assert words in found


def test_all_faults_are_named_at_once(played, tmp_path, free_port):
    docker, folder = played
    names = stack_names({"BLOBS_DEVICE": str(tmp_path / "missing")})
    say(folder, "info", "active true")
    say(folder, "node ls", "n1")
    node = {
        "Spec": {"Labels": {"dicebox.front": "true"}},
        "Description": {"Resources": {"NanoCPUs": 1_000_000_000}},
    }
    say(folder, "node inspect", [node])
    say(folder, "secret ls", "dicebox_admin_key_1")
    say(folder, "image ls", "\n".join(names[name] for name in IMAGES if name != "TRAINER_IMAGE"))
    say(folder, "service ls", "")
    found = faults(docker, names, {"HTTP_PORT": str(free_port), "HTTPS_PORT": "70000"})
    expected = [
        "no node has the label dicebox.data=true",
        "no node has the label dicebox.trains=true",
        "CPUS: a node has 1 cores: CPUS=1",
        "secret dicebox_database_url_1 does not exist: python -m deploy.stack secrets",
        "secret dicebox_worker_key_1 does not exist",
        f"image {names['TRAINER_IMAGE']} is not here: python -m deploy.images build",
        f"HTTP_PORT: port {free_port} of this node: Address already in use",
        "HTTPS_PORT: expected a port from 1 to 65535, got '70000'",
        "is no folder of this node",
    ]
    for words in expected:
        assert any(words in line for line in found), words
    assert not any("admin_key" in line or "front" in line for line in found)
    # Where nobody trains, nothing is needed for it.
    assert not any(
        "train" in each for each in faults(docker, names, {"TRAINERS": "0"}) if "key" not in each
    )
    # Of what is deployed already the port is taken by itself.
    say(folder, "service ls", "dicebox_nginx")
    assert not any(
        "in use" in each for each in faults(docker, names, {"HTTP_PORT": str(free_port)})
    )


@pytest.fixture
def free_port():
    with socket.create_server(("", 0)) as server:
        yield server.getsockname()[1]


def deployed(folder: Path, running: str, update: dict | None = None) -> None:
    say(folder, "service ls", {"ID": "a", "Name": "dicebox_nginx", "Replicas": running})
    found = {"Spec": {"Name": "dicebox_nginx"}, **({"UpdateStatus": update} if update else {})}
    say(folder, "service inspect", [found])


def test_a_stack_is_whole_when_every_task_is_healthy_and_no_update_goes_on(played):
    docker, folder = played
    deployed(folder, "1/2 (max 1 per node)")
    (found,) = services(docker, "dicebox")
    assert (found.running, found.wanted, found.is_whole) == (1, 2, False)
    deployed(folder, "2/2", {"State": "updating", "StartedAt": "t"})
    assert not services(docker, "dicebox")[0].is_whole
    deployed(folder, "2/2", {"State": "completed", "StartedAt": "t"})
    assert services(docker, "dicebox")[0].is_whole
    assert wait_until_whole(docker, "dicebox", 10.0, {}, lambda _: None) < 2.0


def test_an_update_that_was_taken_back_is_no_success_and_an_old_one_no_news(played):
    docker, folder = played
    deployed(folder, "2/2", {"State": "rollback_completed", "StartedAt": "now"})
    say(folder, "stack ps", task("Shutdown", "Failed 2 seconds ago", "task: non-zero exit (1)"))
    say(folder, "service logs", "sensory: DICEBOX_PORT: got 'x'")
    with pytest.raises(RolledBackError, match=r"non-zero exit \(1\): sensory: DICEBOX_PORT"):
        wait_until_whole(docker, "dicebox", 10.0, {"dicebox_nginx": "before"}, lambda _: None)
    wait_until_whole(docker, "dicebox", 10.0, {"dicebox_nginx": "now"}, lambda _: None)


def task(desired: str, current: str, error: str = "", name: str = "dicebox_nginx.1") -> dict:
    return {
        "ID": "t",
        "Name": name,
        "DesiredState": desired,
        "CurrentState": current,
        "Error": error,
    }


def test_what_keeps_a_stack_is_said_by_its_tasks(played):
    docker, folder = played
    deployed(folder, "0/1")
    rows = [
        task("Running", "Pending 1 second ago", "no suitable node (host-mode port already in use)"),
        task("Shutdown", "Failed 9 seconds ago", "older", name=" \\_ dicebox_nginx.1"),
        task("Running", "Running 9 seconds ago", name="dicebox_postgres.1"),
    ]
    say(folder, "stack ps", "\n".join(map(json.dumps, rows)))
    (found,) = troubles(docker, "dicebox")
    assert found.startswith("dicebox_nginx.1: Pending 1 second ago: no suitable node (host-mode")
    said: list[str] = []
    with pytest.raises(UnavailableError, match=r"not healthy after 0 s:\ndicebox_nginx.1: Pending"):
        wait_until_whole(docker, "dicebox", 0.0, {}, said.append)
    assert said[0].endswith("dicebox_nginx 0/1")


def test_a_stack_is_gone_when_its_network_is(played):
    docker, folder = played
    for name in ("service ls", "ps"):
        say(folder, name, "")
    say(folder, "network ls", "")
    assert wait_until_gone(docker, "dicebox", 1.0) < 1.0
    say(folder, "network ls", "abc")
    with pytest.raises(UnavailableError, match="there is still abc"):
        wait_until_gone(docker, "dicebox", 0.0)
