"""Services that run alone: beyond this machine they listen with keys, or not at all."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from commons.auth import generate_key
from tests.dicebox_processes import Dicebox, until
from tests.servers import free_port

pytestmark = pytest.mark.e2e

EVERYWHERE = "0.0.0.0"
SERVICES = {
    "sensory_service": "sensory",
    "classification_service": "classification",
    "evolver.web": "evolution",
}


def environ(data: Path, port: int, **settings: str) -> dict[str, str]:
    told = {"DATA": str(data), "HOST": EVERYWHERE, "PORT": str(port), **settings}
    return os.environ | {f"DICEBOX_{name}": value for name, value in told.items()}


@contextmanager
def served(module: str, data: Path, **settings: str) -> Iterator[httpx.Client]:
    """Give a client of a service that listens everywhere, once it answers."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", module], env=environ(data, port, **settings))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            until(lambda: lives(http, SERVICES[module]))
            yield http
    finally:
        process.terminate()
        process.wait()


def named(module: str) -> str:
    """Return what a service calls itself."""
    return module.partition(".")[0]


def lives(http: httpx.Client, service: str) -> bool:
    try:
        return http.get(f"/api/{service}/v1/healthz").is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("keys", ["auto", "required"])
@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("sensory_service", "DICEBOX_ADMIN_KEY_FILE"),
        ("classification_service", "DICEBOX_ADMIN_URL"),
        ("evolver.web", "DICEBOX_ADMIN_URL"),
    ],
)
def test_without_keys_a_service_refuses_to_listen_elsewhere_in_one_line(
    tmp_path: Path, module: str, remedy: str, keys: str
) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", module],
        env=environ(tmp_path, free_port(), KEYS=keys),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith(
        f"{named(module)}: expected a loopback address to listen on, got {EVERYWHERE}: "
        "without keys "
    )
    assert f"; set {remedy} to " in line


@pytest.mark.parametrize("module", SERVICES)
def test_a_setting_that_is_wrong_is_told_in_one_line(tmp_path: Path, module: str) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", module],
        env=environ(tmp_path, free_port(), PORT="none"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith(f"{named(module)}: DICEBOX_PORT: ")


WRONG = (
    ({"DATABASE_URL": "mysql://host/name"}, "expected a database like postgresql://"),
    ({"DATABASE_URL_FILE": os.devnull}, f"DICEBOX_DATABASE_URL_FILE: {os.devnull} is empty"),
    ({"REPLICAS": "2"}, "DICEBOX_REPLICAS is 2: several replicas share one database"),
    ({"BLOBS_URL": "file:///blobs?sentinel=none"}, "expected a folder, file:///"),
    ({"DATA": "/proc/none"}, "cannot make the folder /proc/none"),
)


@pytest.mark.parametrize(
    ("module", "settings", "said"),
    [
        *((module, *WRONG[0]) for module in SERVICES),
        *(("sensory_service", *wrong) for wrong in WRONG[1:]),
    ],
)
def test_an_address_or_a_secret_that_is_wrong_is_told_in_one_line(
    tmp_path: Path, module: str, settings: dict[str, str], said: str
) -> None:
    told = {"HOST": "127.0.0.1", **settings}
    refused = subprocess.run(
        [sys.executable, "-m", module],
        env=environ(tmp_path, free_port()) | {f"DICEBOX_{k}": v for k, v in told.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
    assert refused.stderr.startswith(f"{named(module)}: {said}")


def test_with_an_admin_key_they_listen_and_ask_everybody(tmp_path: Path) -> None:
    key = generate_key(secrets.token_bytes)
    bearer = {"Authorization": f"Bearer {key}"}
    with (
        served("sensory_service", tmp_path, ADMIN_KEY=key) as sensory,
        served("classification_service", tmp_path, ADMIN_URL=str(sensory.base_url)) as gallery,
    ):
        for http, path in (
            (sensory, "/api/sensory/v1/datasets"),
            (gallery, "/api/classification/v1/networks"),
        ):
            assert http.get(path).status_code == 401
            assert http.get(path, headers=bearer).status_code == 200


def test_with_a_key_in_its_folder_the_sensory_service_listens(dicebox: Dicebox) -> None:
    key = dicebox.run("keys", "create", "me", "--scope", "sensory:read", "--json").json["key"]
    with served("sensory_service", dicebox.data) as http:
        reply = http.get("/api/sensory/v1/datasets", headers={"Authorization": f"Bearer {key}"})
        assert reply.status_code == 200
