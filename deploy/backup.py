"""`python -m deploy.backup COMMAND`: the whole state of a stack into a folder, and back.

Tables and blobs are in it. Secrets are not, nor are the broker's queues: what was in them is asked
for again from the tables. Of blobs in a bucket the bucket's own versions are the backup.

A task beside the stack does the work, on this node, with the secret and the volume that the
stack's own services have: `deploy/docker/postgres/backup.sh` and `restore.sh` say how.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import click

from commons.errors import ConflictError, DiceboxError, NotFoundError
from deploy.backup_task import BackupTask, StackState
from deploy.stack_engine import Docker, docker_of

_POLL_S = 0.5
_PATIENCE_S = 900.0

_folder = click.argument("folder", type=click.Path(path_type=Path))
_stack = click.option("--stack", envvar="STACK", default="dicebox", show_default=True)
_image = click.option("--image", help="With the scripts [default: that of the stack's PostgreSQL].")


def _says_why(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command end with one line and code 1."""

    @wraps(command)
    def run(**options: Any) -> None:
        try:
            command(**options)
        except DiceboxError as error:
            raise click.ClickException(str(error)) from error

    return run


@click.group()
def backup() -> None:
    """Back up and restore the state of a stack: its tables and its blobs."""


@backup.command()
@_folder
@_stack
@_image
@_says_why
def save(folder: Path, stack: str, image: str | None) -> None:
    """Put the state of now into FOLDER of this node; services go on meanwhile.

    Blobs that are there from an earlier backup are not copied again.
    """
    docker = docker_of(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    state = StackState.of(docker, stack)
    click.echo(BackupTask(docker, state, folder.absolute(), image).run("dicebox-backup"))


@backup.command("list")
@_folder
@_says_why
def list_backups(folder: Path) -> None:
    """Show the backups in FOLDER, oldest first."""
    found = list(manifests(folder))
    if not found:
        raise NotFoundError(f"{folder} holds no backup")
    for manifest in found:
        blobs = f"{manifest['blobs']:,} blobs, {manifest['new_blobs']:,} of them new"
        where = "blobs in a bucket" if manifest["blobs_elsewhere"] else blobs
        click.echo(f"{manifest['time']}  tables of {manifest['tables_bytes']:,} bytes, {where}")


@backup.command()
@_folder
@click.option("--at", metavar="TIME", help="Of `list` [default: the newest].")
@click.option("--stop", is_flag=True, help="End the services that use the tables meanwhile.")
@_stack
@_image
@_says_why
def restore(folder: Path, at: str | None, stop: bool, stack: str, image: str | None) -> None:
    """Put a backup in FOLDER of this node back.

    Tables that are there go, and are kept in FOLDER/replaced. Cut off anywhere, the old tables are
    still there.
    """
    docker = docker_of(os.environ)
    times = [manifest["time"] for manifest in manifests(folder)]
    if not times or (at is not None and at not in times):
        raise NotFoundError(f"{folder} has no backup{f' {at}' if at else ''}")
    state = StackState.of(docker, stack)
    task = BackupTask(docker, state, folder.absolute(), image)
    if not stop:
        running = [name for name, count in _replicas(docker, state).items() if count]
        if running:
            raise ConflictError(f"these use the tables, --stop ends them: {', '.join(running)}")
        click.echo(task.run("dicebox-restore", at or times[-1]))
    else:
        with _stopped(docker, state):
            click.echo(task.run("dicebox-restore", at or times[-1]))
    click.echo("look it through with: dicebox --url URL fsck")


def manifests(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what is said of each whole backup in a folder, oldest first."""
    for file in sorted(folder.glob("[0-9]*Z/manifest.json")):
        with suppress(ValueError):
            yield json.loads(file.read_text(encoding="utf-8"))


@contextmanager
def _stopped(docker: Docker, state: StackState) -> Iterator[None]:
    """End the services that use the tables while a block runs, and start as many again."""
    before = _replicas(docker, state)
    try:
        _scale(docker, dict.fromkeys(before, 0))
        _wait_for_their_end(docker, list(before))
        yield
    finally:
        _scale(docker, before)


def _replicas(docker: Docker, state: StackState) -> dict[str, int]:
    """Return how many tasks each service that uses the tables is to have."""
    return {
        service["Spec"]["Name"]: int(service["Spec"]["Mode"]["Replicated"]["Replicas"])
        for service in docker.inspect("service", state.users)
        if "Replicated" in service["Spec"]["Mode"]
    }


def _scale(docker: Docker, replicas: dict[str, int]) -> None:
    words = [f"{name}={count}" for name, count in replicas.items()]
    if words:
        docker("service", "scale", "--detach", *words)


def _wait_for_their_end(docker: Docker, names: Sequence[str]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while any(_is_running(docker, name) for name in names):
        if time.monotonic() > deadline:
            raise ConflictError(f"not all of {', '.join(names)} ended in {_PATIENCE_S:.0f} s")
        time.sleep(_POLL_S)


def _is_running(docker: Docker, name: str) -> bool:
    return any(
        row["CurrentState"].startswith("Running") for row in docker.rows("service", "ps", name)
    )


if __name__ == "__main__":
    backup()
