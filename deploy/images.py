"""`python -m deploy.images build | base | sizes`: the images of all roles, on the engine here.

The client is `--docker`, `DOCKER`, or `docker`; the engine is the one that `DOCKER_HOST` names.
Nothing is pulled but what `--base` names, and not even that where an image has that name already.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "docker"
BASE = "debian:bookworm-slim"
# What the environments of Python hold beside RabbitMQ's, PostgreSQL's and S3's clients.
PYTHONS = {
    "store": "",
    "serve": "serve",
    "evolve": "fleet",
    "train": "fleet,train",
    "train-gpu": "fleet,train-gpu",
}
# Each role, and the environment that it starts from; None: Debian's own packages.
ROLES: dict[str, str | None] = {
    "sensory": "store",
    "batch-processor": "store",
    "classification": "serve",
    "job-worker": "serve",
    "evolver": "evolve",
    "trainer": "train",
    "nginx": None,
    "rabbitmq": None,
    "postgres": None,
}
# Several gigabytes that are of use with a card alone: made only where they are named.
LARGE_ROLES: dict[str, str | None] = {"trainer-gpu": "train-gpu"}
ALL_ROLES = ROLES | LARGE_ROLES


class ImagesError(Exception):
    """The engine, or a build on it, failed."""


def version() -> str:
    """Return the version of this checkout, which is the tag of its images."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def image(role: str, tag: str) -> str:
    """Return the name of a role's image."""
    return f"dicebox/{role}:{tag}"


@dataclass(frozen=True)
class Engine:
    """The Docker engine that images are made on.

    Args:
        client: The command of its client.
    """

    client: Sequence[str]

    def build(self, dockerfile: str, name: str, arguments: dict[str, str]) -> None:
        """Build an image; what the engine says goes to standard error.

        Raises:
            ImagesError: It could not be built.
        """
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        # The network of the host, because an engine need not have one of its own to build.
        command = ["build", "--network=host", f"--file={FOLDER / dockerfile}", f"--tag={name}"]
        self._run([*command, *given, str(ROOT)], f"{name} could not be built")

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Return the bytes of images with all their layers; None: there is none of that name."""
        return [self._size(name) for name in names]

    def _size(self, name: str) -> int | None:
        command = [*self.client, "image", "inspect", "--format={{.Size}}", name]
        done = self._start(command, capture_output=True)
        if done.returncode == 0:
            return int(done.stdout)
        said = done.stderr.decode(errors="replace").strip()
        if "no such image" in said.lower():
            return None
        raise ImagesError(said or f"{shlex.join(command)} ended with {done.returncode}")

    def _run(self, arguments: Sequence[str], failed: str) -> None:
        command = [*self.client, *arguments]
        if code := self._start(command, stdout=sys.stderr.fileno()).returncode:
            raise ImagesError(f"{failed}: docker ended with {code}")

    def _start(
        self, command: Sequence[str], *, stdout: int | None = None, capture_output: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                command, check=False, stdout=stdout, capture_output=capture_output
            )
        except OSError as error:
            raise ImagesError(f"cannot run {command[0]}: {error.strerror}") from error


def build(engine: Engine, roles: Sequence[str], *, tag: str, base: str = BASE) -> dict[str, int]:
    """Build the images of roles, and the environments that they start from; return their bytes.

    Raises:
        ImagesError: One of them could not be built.
    """
    for python in [name for name in PYTHONS if name in {ALL_ROLES[role] for role in roles}]:
        extras = {"BASE_IMAGE": base, "EXTRAS": PYTHONS[python]}
        engine.build("python.Dockerfile", image(f"python-{python}", tag), extras)
    labels = {"VERSION": tag, **_revision()}
    for role in roles:
        python_of_it = ALL_ROLES[role]
        start = (
            {"PYTHON_IMAGE": image(f"python-{python_of_it}", tag)}
            if python_of_it
            else {"BASE_IMAGE": base}
        )
        engine.build(f"{role}.Dockerfile", image(role, tag), start | labels)
    return sizes(engine, roles, tag=tag)


def sizes(engine: Engine, roles: Sequence[str], *, tag: str) -> dict[str, int]:
    """Return the bytes of the images that there are.

    Raises:
        ImagesError: The engine does not answer.
    """
    found = zip(roles, engine.sizes([image(role, tag) for role in roles]), strict=True)
    return {role: size for role, size in found if size is not None}


def _revision() -> dict[str, str]:
    """Return the commit and its time, so that the same commit makes the same images.

    Files that were changed since are built as they lie there; then the commit has `+changes`.
    """
    commands = (
        ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"],
        ["git", "log", "-1", "--format=%cI"],
    )
    try:
        said = [
            subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
            for command in commands
        ]
    except (OSError, subprocess.CalledProcessError):
        # Not a checkout, but an archive of one.
        return {}
    revision, created = (done.stdout.strip() for done in said)
    return {"REVISION": revision, "CREATED": created}


def _chosen(named: Sequence[str], without: Sequence[str]) -> list[str]:
    wanted = set(named) or set(ROLES)
    if unknown := (wanted | set(without)) - set(ALL_ROLES):
        expected = ", ".join(ALL_ROLES)
        raise ImagesError(f"expected roles of {expected}, got {', '.join(sorted(unknown))}")
    return [role for role in ALL_ROLES if role in wanted and role not in without]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.images")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        ("build", "build images and print one line of JSON: role to bytes"),
        ("sizes", "print the same line of the images that there are"),
        ("base", "make the base image from Debian packages, as root with debootstrap"),
    ):
        one = commands.add_parser(command, help=text)
        one.add_argument("--docker", default=os.environ.get("DOCKER", "docker"), metavar="CMD")
        one.add_argument("--base", default=BASE, metavar="NAME", help=f"default: {BASE}")
        if command == "base":
            one.add_argument("--with-machine-settings", action="store_true")
            one.add_argument("--tar", metavar="FILE", help="keeps it; taken again where it is")
            continue
        one.add_argument(
            "roles", nargs="*", metavar="ROLE", help=f"default: all but {', '.join(LARGE_ROLES)}"
        )
        one.add_argument("--without", action="append", default=[], metavar="ROLE")
        one.add_argument("--tag", default=version(), help="default: the version")
    return parser


def _make_base(options: argparse.Namespace) -> None:
    command = ["sh", str(FOLDER / "base.sh")]
    if options.with_machine_settings:
        command.append("--with-machine-settings")
    if options.tar:
        command += ["--tar", options.tar]
    environ = {**os.environ, "DOCKER": options.docker}
    if code := subprocess.run([*command, options.base], check=False, env=environ).returncode:
        raise ImagesError(f"{options.base} could not be made: base.sh ended with {code}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    options = _parser().parse_args(arguments)
    engine = Engine(shlex.split(options.docker))
    try:
        if options.command == "base":
            _make_base(options)
            return
        roles = _chosen(options.roles, options.without)
        if options.command == "build":
            found = build(engine, roles, tag=options.tag, base=options.base)
        else:
            found = sizes(engine, roles, tag=options.tag)
    except ImagesError as error:
        sys.exit(f"deploy.images: {error}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
