"""The images of the stack on engines of one's own: the base, the roles, and spoilt ones."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.frame import REPOSITORY
from benchmarks.swarm_engine import Engine
from commons.errors import UnavailableError
from deploy.images import ROLES, image, version
from deploy.stack_engine import Docker

BASE = "debian:bookworm-slim"
_BUILD_S = 1800.0
# What is laid over an image: a new one that is the same, one that ends, one that is never ready.
VARIANTS = {
    "next": 'LABEL dicebox.variant="next"',
    "broken": 'ENTRYPOINT []\nCMD ["python3", "-c", "raise SystemExit(\'made to fail\')"]',
    "sick": 'ENTRYPOINT []\nCMD ["python3", "-c", "import time; time.sleep(3600)"]',
}


def make_base(engine: Engine, folder: Path) -> None:
    """Make the base image, or take the one that was made before."""
    archive = folder / "base.tar"
    script = REPOSITORY / "deploy" / "docker" / "base.sh"
    _run(
        ["sh", str(script), "--with-machine-settings", "--tar", str(archive), BASE],
        {"DOCKER": shlex.join(engine.docker.command), "DOCKER_HOST": engine.address},
    )


def build(engine: Engine, without: Sequence[str] = ()) -> None:
    """Build the image of every role."""
    words = [word for role in without for word in ("--without", role)]
    client = shlex.join(engine.docker.command)
    command = [sys.executable, "-m", "deploy.images", "build", "--docker", client]
    _run([*command, "--tag", version(), *words], {"DOCKER_HOST": engine.address})


def sizes(docker: Docker) -> dict[str, int]:
    """Return the bytes of every role's image that is there."""
    there = _ids(docker)
    names = {role: image(role, version()) for role in ROLES}
    return {
        role: int(docker("image", "inspect", "--format", "{{.Size}}", name))
        for role, name in names.items()
        if name in there
    }


def make_variant(docker: Docker, role: str, variant: str) -> str:
    """Return the name of an image that differs from a role's by one of `VARIANTS`.

    Nothing is run for it, so that an engine without a network makes it too.
    """
    name = image(role, f"{version()}-{variant}")
    text = f"FROM {image(role, version())}\n{VARIANTS[variant]}\n"
    docker("build", "--quiet", "--network", "none", "--tag", name, "-", stdin=text)
    return name


def hand_on(builder: Engine, others: Sequence[Docker], archive: Path) -> None:
    """Give the roles' images to engines that have no registry in common with the builder."""
    builder.start()
    try:
        wanted = _ids(builder.docker)
        lacking = [other for other in others if not wanted.items() <= _ids(other).items()]
        if lacking:
            builder.docker("save", "--output", str(archive), *wanted, limit_s=_BUILD_S)
    finally:
        builder.stop()
    for other in lacking:
        other("load", "--quiet", "--input", str(archive), limit_s=_BUILD_S)
    archive.unlink(missing_ok=True)


def _ids(docker: Docker) -> dict[str, str]:
    names = {image(role, version()) for role in ROLES}
    form = "{{.Repository}}:{{.Tag}} {{.ID}}"
    lines = (line.split() for line in docker.lines("image", "ls", "--format", form))
    return {name: number for name, number in lines if name in names}


def _run(command: Sequence[str], environ: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=_BUILD_S,
    )
    if done.returncode:
        raise UnavailableError(f"{' '.join(command[:3])}: {done.stderr.strip()[-1000:]}")
