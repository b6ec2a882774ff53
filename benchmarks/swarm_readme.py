"""The README's Docker commands, typed as they stand."""

import re
import subprocess
import time
from functools import partial
from pathlib import Path

import httpx

from benchmarks.frame import REPOSITORY
from benchmarks.swarm_engine import CLIENT, Engine
from benchmarks.swarm_house import House
from benchmarks.swarm_images import make_variant
from commons.adapters.services import SENSORY
from commons.errors import UnavailableError
from deploy.stack_engine import DockerError

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STARTS_S = 120.0
_LIMIT_S = 180.0
_SERVICES = ("sensory", "rabbitmq", "postgres")
_VOLUMES = ("dicebox", "dicebox_database", "dicebox_queues", "dicebox_alone")
_NETWORK = "dicebox"


def commands(text: str) -> list[str]:
    """Return the Docker commands of a page that need nothing that the page does not make.

    Those with an id or a file of the reader's in them are left out.
    """
    lines = "\n".join(_BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ docker ")]
    return [" ".join(line.split()) for line in typed if not re.search(r"\$[A-Z]", line)]


def try_readme(house: House, page: Path = REPOSITORY / "README.md") -> float:
    """Type the commands, wait until what they start answers, and take it away again.

    Returns:
        The seconds of all of it.

    Raises:
        UnavailableError: One of them failed; with its words.
    """
    engine = house.nodes.manager.engine
    make_variant(engine.docker, "sensory", "next")
    started = time.monotonic()
    try:
        for command in commands(page.read_text(encoding="utf-8")):
            if command.startswith("docker service update"):
                _wait_for_service(house)
            _type(house, command)
        _wait_for_service(house)
        alone = f"http://127.0.0.1:18001{SENSORY}/readyz"
        ask = f"import urllib.request as u; u.urlopen('{alone}', timeout=2)"
        house.until(
            lambda: _succeeds(engine, "exec", "alone", "python", "-c", ask), alone, _STARTS_S
        )
    finally:
        _take_away(house)
    return time.monotonic() - started


def _type(house: House, command: str) -> None:
    engine = house.nodes.manager.engine
    done = subprocess.run(
        # The word `docker` is the engine's own client.
        [*engine.inside, "sh", "-c", command.replace("docker ", f"{CLIENT} ", 1)],
        env={"DOCKER_HOST": engine.address, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    if done.returncode:
        raise UnavailableError(f"{command[:60]}…: {done.stderr.strip()[-500:]}")


def _wait_for_service(house: House) -> None:
    url = f"http://{house.nodes.manager.address}:8001{SENSORY}/readyz"

    def is_ready() -> bool:
        try:
            return httpx.get(url, timeout=2.0).is_success
        except httpx.TransportError:
            return False

    house.until(is_ready, url, _STARTS_S)


def _succeeds(engine: Engine, *words: str) -> bool:
    try:
        engine.docker(*words)
    except DockerError:
        return False
    return True


def _take_away(house: House) -> None:
    engine = house.nodes.manager.engine
    for name in _SERVICES:
        _succeeds(engine, "service", "rm", name)
    _succeeds(engine, "rm", "--force", "--volumes", "alone")
    for kind, names in (("network", (_NETWORK,)), ("volume", _VOLUMES)):
        for name in names:
            house.until(partial(_is_gone, engine, kind, name), f"{kind} {name} is gone", _STARTS_S)


def _is_gone(engine: Engine, kind: str, name: str) -> bool:
    return _succeeds(engine, kind, "rm", name) or not _succeeds(engine, kind, "inspect", name)
