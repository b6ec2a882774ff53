"""The secrets of a stack: made once, handed to the engine, kept nowhere else."""

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from commons.auth import (
    CLASSIFICATION_SCOPES,
    WORKER_SCOPES,
    Scope,
    generate_key,
    stored_key,
)
from commons.errors import ConflictError

RandomBytes = Callable[[int], bytes]
# What belongs together has one version: the part of stack.yml's variable, and the secrets.
PARTS = {
    "database": ("postgres_password", "database_url"),
    "broker": ("rabbitmq_users", "broker_url"),
    "keys": ("worker_key", "classification_key", "metrics_key", "given_keys"),
    "admin": ("admin_key",),
}
# Not for services of the stack: Prometheus reads figures with it.
OUTSIDE = frozenset({"metrics_key"})
_SCOPES: dict[str, tuple[Scope, ...]] = {
    "worker_key": WORKER_SCOPES,
    "classification_key": CLASSIFICATION_SCOPES,
    # Figures need any key; this one may ask the champion and nothing else.
    "metrics_key": ("classify",),
}
_PASSWORD_BYTES = 24
# Who reads a secret as a file that is bound into a container.
_OWNERS = {"postgres_password": 10002, "rabbitmq_users": 10003}
_OTHERS = 10001


def secret_name(stack: str, secret: str, versions: Mapping[str, str]) -> str:
    """Return what a secret is called in the swarm; `versions` has `DATABASE_VERSION` and so on."""
    part = next(part for part, secrets in PARTS.items() if secret in secrets)
    return f"{stack}_{secret}_{versions.get(f'{part.upper()}_VERSION', '1')}"


def new_secrets(part: str, random_bytes: RandomBytes, now: float) -> dict[str, str]:
    """Return the secrets of a part, by their names without stack and version."""
    if part == "database":
        password = _password(random_bytes)
        return {
            "postgres_password": password,
            "database_url": f"postgresql://dicebox:{password}@postgres:5432/dicebox",
        }
    if part == "broker":
        password = _password(random_bytes)
        return {
            "rabbitmq_users": f"default_user = dicebox\ndefault_pass = {password}\n"
            "default_vhost = dicebox\n",
            "broker_url": f"amqp://dicebox:{password}@rabbitmq:5672/dicebox",
        }
    if part == "admin":
        return {"admin_key": generate_key(random_bytes)}
    keys = {name: generate_key(random_bytes) for name in _SCOPES}
    given = [
        stored_key(keys[name], name.removesuffix("_key"), scopes, now)
        for name, scopes in _SCOPES.items()
    ]
    return {**keys, "given_keys": f"[{','.join(key.model_dump_json() for key in given)}]"}


def missing_parts(present: Sequence[str], names: Callable[[str], str]) -> list[str]:
    """Return the parts of which no secret is there.

    Args:
        present: What there is.
        names: What a secret is called there.

    Raises:
        ConflictError: Some secrets of a part are there and others are not.
    """
    missing = []
    for part, secrets in PARTS.items():
        there = [name for name in map(names, secrets) if name in present]
        if not there:
            missing.append(part)
        elif len(there) < len(secrets):
            gone = [name for name in map(names, secrets) if name not in present]
            raise ConflictError(
                f"{', '.join(there)}: there, but not {', '.join(gone)}, and what belongs together "
                f"is made together: another version with `secrets --version N --only {part}`"
            )
    return missing


def write_secret(folder: Path, name: str, text: str) -> None:
    """Write a secret as a file that its reader alone may read (its owner only as root)."""
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    file = folder / name
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    if os.geteuid() == 0:
        owner = _OWNERS.get(name, _OTHERS)
        os.chown(file, owner, owner)


def _password(random_bytes: RandomBytes) -> str:
    # Letters, digits, - and _: no part of an address or of a configuration file.
    return base64.urlsafe_b64encode(random_bytes(_PASSWORD_BYTES)).decode().rstrip("=")
