"""The engine, through its command-line client: whatever `docker` reaches is asked."""

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from commons.errors import UnavailableError

# Longer than any single answer; what waits for tasks asks again and again.
_LIMIT_S = 300.0


class DockerError(UnavailableError):
    """What the engine said instead of doing it, in its own last line."""

    kind = "docker"


@dataclass(frozen=True)
class Docker:
    """Runs the client's commands.

    Args:
        command: The client, with words that stand before every command.
        environ: Settings on top of this process's environment.
    """

    command: tuple[str, ...] = ("docker",)
    environ: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, stdin: str | None = None, limit_s: float = _LIMIT_S) -> str:
        """Return what a command prints, without the space around it.

        Raises:
            DockerError: It failed, took too long, or there is no client.
        """
        try:
            done = subprocess.run(
                [*self.command, *words],
                env={**os.environ, **self.environ},
                input=stdin,
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except OSError as error:
            raise DockerError(f"{self.command[0]}: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise DockerError(f"docker {words[0]}: no answer in {limit_s:.0f} s") from error
        if done.returncode != 0:
            raise DockerError(f"docker {' '.join(words[:2])}: {_last_line(done.stderr)}")
        return done.stdout.strip()

    def lines(self, *words: str) -> list[str]:
        """Return the lines that a command prints."""
        return self(*words).splitlines()

    def rows(self, *words: str) -> list[dict[str, str]]:
        """Return what a listing prints, a dictionary a line."""
        return [json.loads(line) for line in self.lines(*words, "--format", "{{json .}}")]

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return all that is known of some objects of a kind, such as `node`."""
        found: list[dict[str, Any]] = json.loads(self(kind, "inspect", *names)) if names else []
        return found


def docker_of(environ: Mapping[str, str]) -> Docker:
    """Return the client that `DOCKER` names, or `docker`."""
    return Docker(tuple(shlex.split(environ.get("DOCKER", "docker"))))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "it failed without a word").removeprefix("Error: ")
