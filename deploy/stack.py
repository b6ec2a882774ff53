"""`python -m deploy.stack COMMAND`: deploys, watches and ends the stack of stack.yml."""

import os
import secrets as random
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from commons.errors import DiceboxError
from deploy.stack_checks import LABELS, ChecksFailedError, faults, swarm_faults
from deploy.stack_engine import Docker, docker_of
from deploy.stack_names import FOLDER, as_shell, stack_names
from deploy.stack_secrets import PARTS, missing_parts, new_secrets, secret_name, write_secret
from deploy.stack_watch import services, troubles, wait_until_gone, wait_until_whole

_FILE = FOLDER / "stack.yml"
_MARKS = "commons.adapters.shared_folder"
_BLOBS = "/dicebox/blobs"


def _says_why(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command end with one line, or one a fault, and code 1."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except DiceboxError as error:
            raise click.ClickException(str(error)) from error

    return run


@click.group()
def stack() -> None:
    """Deploy Dicebox on a Docker Swarm; docs/operations.md goes through it."""


@stack.command()
@click.option("--tag", help="Of the images [default: TAG, else the version].")
@_says_why
def names(tag: str | None) -> None:
    """Print what stack.yml is filled with, as lines for `eval`."""
    for line in as_shell(stack_names(os.environ, tag)):
        click.echo(line)


@stack.command()
@click.option("--version", default="1", show_default=True, help="Names end with it.")
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="Of these parts alone.")
@click.option("--folder", type=click.Path(path_type=Path), help="Files there, for compose.")
@_says_why
def secrets(version: str, only: Sequence[str], folder: Path | None) -> None:
    """Make the secrets that are missing; the admin key is printed this once."""
    docker = docker_of(os.environ)
    stack_name = os.environ.get("STACK", "dicebox")
    if folder is None:
        _refuse(swarm_faults(docker))
        versions = {f"{part.upper()}_VERSION": version for part in PARTS}
        present = docker.lines("secret", "ls", "--format", "{{.Name}}")
        chosen = missing_parts(present, lambda name: secret_name(stack_name, name, versions))
    else:
        present = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        chosen = missing_parts(present, lambda name: name)
    for part in (part for part in chosen if part in (only or PARTS)):
        for name, text in new_secrets(part, random.token_bytes, time.time()).items():
            if folder is not None:
                write_secret(folder, name, text)
                click.echo(str(folder / name))
            else:
                full = secret_name(stack_name, name, versions)
                # Not the label of the stack's own objects: `docker stack rm` removes what has that.
                label = f"dicebox.stack={stack_name}"
                docker("secret", "create", "--label", label, full, "-", stdin=text)
                click.echo(full)
            if name == "admin_key":
                click.echo(f"The admin key, shown this once: {text}")


@stack.command()
@click.option("--node", help="Which node gets the labels [default: this one].")
@click.option("--label", "labels", type=click.Choice(["all", *LABELS]), multiple=True)
@click.option("--compose", is_flag=True, help="No swarm: the volume alone.")
@_says_why
def prepare(node: str | None, labels: Sequence[str], compose: bool) -> None:
    """Label a node, and mark the volume of the blobs, so that a missing mount is seen."""
    docker = docker_of(os.environ)
    chosen = list(LABELS) if "all" in labels else list(labels)
    if not compose:
        _refuse(swarm_faults(docker))
        words = [word for label in chosen for word in ("--label-add", f"dicebox.{label}=true")]
        if words:
            which = node or docker("info", "--format", "{{.Swarm.NodeID}}")
            docker("node", "update", *words, which)
            click.echo(f"{which}: {', '.join(chosen)}")
    _mark_blobs(docker)


@stack.command()
@_says_why
def check() -> None:
    """Say all that would keep the stack from running."""
    _refuse(faults(docker_of(os.environ), stack_names(os.environ), os.environ))
    click.echo("nothing is missing")


@stack.command()
@click.option("-c", "more", type=click.Path(exists=True, path_type=Path), multiple=True)
@click.option("--wait", default=180.0, show_default=True, help="Seconds; 0 does not.")
@click.option("--registry", is_flag=True, help="Images come from a registry, with this login.")
@_says_why
def up(more: Sequence[Path], wait: float, registry: bool) -> None:
    """Deploy the stack, or what changed of it, and wait until every task is healthy."""
    named = stack_names(os.environ)
    docker = docker_of(os.environ)
    _refuse(faults(docker, named, os.environ))
    before = {each.name: each.updated for each in services(docker, named["STACK"])}
    files = [word for file in (_FILE, *more) for word in ("-c", str(file))]
    images = ["--with-registry-auth"] if registry else ["--resolve-image", "never"]
    filled = Docker(docker.command, {**docker.environ, **named})
    filled("stack", "deploy", "--prune", *images, *files, named["STACK"])
    if wait:
        took = wait_until_whole(docker, named["STACK"], wait, before, click.echo)
        click.echo(f"everything is healthy after {took:.1f} s")


@stack.command()
@_says_why
def status() -> None:
    """Show every service, and what keeps those that are not whole."""
    docker = docker_of(os.environ)
    name = os.environ.get("STACK", "dicebox")
    _refuse(swarm_faults(docker))
    found = services(docker, name)
    if not found:
        raise click.ClickException(f"no stack {name} is deployed: python -m deploy.stack up")
    for each in found:
        update = f"  update: {each.update}" if each.update else ""
        click.echo(f"{each.name:40} {each.running}/{each.wanted}{update}")
    if any(not each.is_whole for each in found):
        for line in troubles(docker, name):
            click.echo(line)
        sys.exit(1)


@stack.command()
@_says_why
def down() -> None:
    """End the stack and wait for that; volumes and secrets stay."""
    docker = docker_of(os.environ)
    name = os.environ.get("STACK", "dicebox")
    _refuse(swarm_faults(docker))
    docker("stack", "rm", name)
    click.echo(f"gone after {wait_until_gone(docker, name):.1f} s")


def _mark_blobs(docker: Docker) -> None:
    named = stack_names(os.environ)
    if os.environ.get("BLOBS_URL", "").startswith("s3://"):
        return
    volume = f"{named['STACK']}_blobs_{named['BLOBS_VERSION']}"
    options = {
        "type": named["BLOBS_TYPE"],
        "o": named["BLOBS_OPTIONS"],
        "device": named["BLOBS_DEVICE"],
    }
    words = [word for name, value in options.items() for word in ("--opt", f"{name}={value}")]
    docker("volume", "create", "--driver", "local", *words, volume)
    mount = f"type=volume,source={volume},destination=/dicebox,volume-nocopy"
    click.echo(
        docker(
            *("run", "--rm", "--user", "0", "--network", "none", "--mount", mount),
            *("--no-healthcheck", named["SENSORY_IMAGE"], "python", "-m", _MARKS, _BLOBS),
        )
    )


def _refuse(found: Sequence[str]) -> None:
    if found:
        raise ChecksFailedError(found)


if __name__ == "__main__":
    stack()
