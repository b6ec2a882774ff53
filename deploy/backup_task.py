"""A task beside a stack that has the stack's database and blobs, and a folder of this node."""

import csv
import io
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from commons.errors import ConflictError, NotFoundError
from deploy.stack_engine import Docker, DockerError

_DATABASE_URL_FILE = "DICEBOX_DATABASE_URL_FILE"
_BLOBS_URL = "DICEBOX_BLOBS_URL"
# Of all services this one surely has both, and its blobs.
_EXAMPLE = "sensory_service"
_FOLDER = "/backup"
_SECRET = "/run/secrets/database_url"  # noqa: S105 - where it is, not what
_POLL_S = 0.5
# A first backup copies everything.
_PATIENCE_S = 24 * 3600.0
_ENDED = ("Complete", "Failed", "Rejected", "Shutdown", "Orphaned", "Remove")


@dataclass(frozen=True)
class StackState:
    """Where a deployed stack has its state.

    Args:
        stack: Its name.
        image: Of its PostgreSQL.
        secret: Name of the secret with the address of the tables.
        blobs: The folder of the blobs within a container; empty where they lie in a bucket.
        sentinel: The file that this folder must hold; may be empty.
        mount: The volume that they lie on, as the engine describes it; None where there is none.
        users: The services that have the secret.
    """

    stack: str
    image: str
    secret: str
    blobs: str
    sentinel: str
    mount: Mapping[str, Any] | None
    users: list[str]

    @classmethod
    def of(cls, docker: Docker, stack: str) -> "StackState":
        """Return where the stack that is deployed has its state.

        Raises:
            NotFoundError: It is not deployed, or has no database of its own.
            ConflictError: Its services keep blobs where nobody else finds them.
        """
        label = f"label=com.docker.stack.namespace={stack}"
        names = docker.lines("service", "ls", "--filter", label, "--format", "{{.Name}}")
        specs = {each["Spec"]["Name"]: each["Spec"] for each in docker.inspect("service", names)}
        example = specs.get(f"{stack}_{_EXAMPLE}")
        if example is None:
            raise NotFoundError(f"no stack {stack} is deployed: python -m deploy.stack up")
        secret = _secret_of(example)
        if secret is None:
            raise NotFoundError(f"{stack}_{_EXAMPLE} has no {_DATABASE_URL_FILE} from a secret")
        blobs, sentinel, mount = _blobs_of(example)
        database = specs.get(f"{stack}_postgres")
        return cls(
            stack=stack,
            image="" if database is None else _container(database)["Image"],
            secret=secret,
            blobs=blobs,
            sentinel=sentinel,
            mount=mount,
            users=[name for name, spec in specs.items() if _secret_of(spec) == secret],
        )


@dataclass(frozen=True)
class BackupTask:
    """Runs a script of the image; `folder` of this node is /backup in there.

    Args:
        docker: The engine of a manager.
        state: What the task works on.
        folder: An absolute path.
        image: In place of the one of the stack's PostgreSQL.
    """

    docker: Docker
    state: StackState
    folder: Path
    image: str | None = None

    def run(self, script: str, *arguments: str) -> str:
        """Return the last line that a script says.

        Raises:
            DockerError: It did not end well; with its last words.
            NotFoundError: No image is known.
        """
        image = self.image or self.state.image
        if not image:
            raise NotFoundError("the stack has no PostgreSQL of its own: say --image")
        node = self.docker("info", "--format", "{{.Swarm.NodeID}}")
        name = f"{self.state.stack}_{script.removeprefix('dicebox-')}_{uuid.uuid4().hex[:8]}"
        words = ["--name", name, "--constraint", f"node.id=={node}", *self._words()]
        # What goes wrong is said to standard error, which `service logs` would keep apart.
        shell = f'/usr/bin/tini -- /bin/bash -c \'exec "$0" "$@" 2>&1\' /usr/local/bin/{script}'
        entry = ["--entrypoint", shell]
        self.docker("service", "create", *words, *entry, image, _FOLDER, *arguments)
        try:
            return self._last_words(name)
        finally:
            self._take_away(name)

    def _take_away(self, name: str) -> None:
        with suppress(DockerError):
            self.docker("service", "rm", name)
        # The engine keeps the container of a job that ended, and no volume that it saw can go.
        ended = f"label=com.docker.swarm.service.name={name}"
        with suppress(DockerError):
            for container in self.docker.lines("ps", "--all", "--quiet", "--filter", ended):
                self.docker("rm", "--force", "--volumes", container)

    def _words(self) -> list[str]:
        state = self.state
        said = {
            "DATABASE_URL_FILE": _SECRET,
            "BLOBS": state.blobs,
            "SENTINEL": state.sentinel,
        }
        mounts = [{"type": "bind", "source": str(self.folder), "destination": _FOLDER}]
        return [
            *("--detach", "--quiet", "--mode", "replicated-job", "--restart-condition", "none"),
            *("--network", f"{state.stack}_inner", "--no-healthcheck", "--no-resolve-image"),
            *("--log-driver", "json-file", "--user", "0:0"),
            *("--secret", f"source={state.secret},target={Path(_SECRET).name}"),
            *(word for name, value in said.items() for word in ("--env", f"{name}={value}")),
            *(word for mount in mounts for word in ("--mount", _as_csv(mount))),
            *(("--mount", _volume(state.mount)) if state.mount else ()),
        ]

    def _last_words(self, name: str) -> str:
        task = self._ended(name)
        lines: list[str] = []
        with suppress(DockerError):
            lines = self.docker.lines("service", "logs", "--raw", name)
        words = lines[-1] if lines else ""
        if not task["CurrentState"].startswith("Complete"):
            raise DockerError(words or task["Error"] or task["CurrentState"])
        return words

    def _ended(self, name: str) -> dict[str, str]:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            rows = self.docker.rows("service", "ps", "--no-trunc", name)
            for row in rows:
                if row["CurrentState"].startswith(_ENDED):
                    return row
            if time.monotonic() > deadline:
                raise ConflictError(f"{name} has not ended in {_PATIENCE_S:.0f} s")
            time.sleep(_POLL_S)


def _container(spec: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec["TaskTemplate"]["ContainerSpec"]
    return found


def _settings(spec: Mapping[str, Any]) -> dict[str, str]:
    lines = _container(spec).get("Env") or []
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _secret_of(spec: Mapping[str, Any]) -> str | None:
    """Return the name of the secret with the address of the tables, if a service has it."""
    file = _settings(spec).get(_DATABASE_URL_FILE, "")
    for secret in _container(spec).get("Secrets") or []:
        if file and secret["File"]["Name"] in (file, Path(file).name):
            return str(secret["SecretName"])
    return None


def _blobs_of(spec: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any] | None]:
    url = _settings(spec).get(_BLOBS_URL, "")
    if url.startswith("s3://"):
        return "", "", None
    parts = urlsplit(url)
    sentinel = parse_qs(parts.query).get("sentinel", [""])[0]
    for mount in _container(spec).get("Mounts") or []:
        inside = Path(parts.path).is_relative_to(mount["Target"])
        # Without a source it is the task's own, which nobody else sees.
        if parts.path and inside and mount.get("Source"):
            return parts.path, sentinel, mount
    raise ConflictError(
        f"{_EXAMPLE} has its blobs at {url or 'no address'}, on no volume of the stack"
    )


def _volume(mount: Mapping[str, Any]) -> str:
    """Return a mount in the words of `--mount`."""
    words = {"type": mount["Type"], "source": mount["Source"], "destination": mount["Target"]}
    driver = (mount.get("VolumeOptions") or {}).get("DriverConfig") or {}
    options = [
        f"volume-opt={name}={value}" for name, value in (driver.get("Options") or {}).items()
    ]
    if driver.get("Name"):
        options.insert(0, f"volume-driver={driver['Name']}")
    copies = ["volume-nocopy=true"] if mount["Type"] == "volume" else []
    return _as_csv(words, *copies, *options)


def _as_csv(words: Mapping[str, str], *more: str) -> str:
    """Return one line of CSV: what stands in it may hold commas."""
    line = io.StringIO()
    row = [*(f"{name}={value}" for name, value in words.items()), *more]
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()
