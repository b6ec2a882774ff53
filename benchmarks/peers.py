"""Peers: other people's programs, each in an environment of its own that is made here.

A peer is pinned requirements and a script. The script runs with the Python of the peer's
environment, knows nothing of Dicebox, and prints its figures as one JSON object on its last
line; what it needs to know are its arguments.
"""

import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commons.errors import DiceboxError, InvalidInputError, UnavailableError

_READY = "requirements.txt"  # written last: an environment without it was not finished
_TAIL = 2000


@dataclass(frozen=True)
class Peer:
    """A program to compare with.

    Args:
        name: As it stands in the tables.
        requirements: Pinned, as pip takes them: `package==version`, or a file.
        script: What runs in its environment.
        environ: Variables on top of this process's environment, such as numbers of threads.
    """

    name: str
    requirements: Sequence[str]
    script: Path
    environ: Mapping[str, str] = field(default_factory=dict)


def run_peer(
    peer: Peer,
    arguments: Sequence[str],
    work: Path,
    timeout_s: float,
    observe: Callable[[int], AbstractContextManager[object]] = nullcontext,
) -> dict[str, Any]:
    """Return the figures a peer prints.

    Args:
        peer: What runs.
        arguments: Of its script.
        work: Where its environment is, or will be.
        timeout_s: After so many seconds it is ended.
        observe: Gets the id of its process, and is entered for as long as that runs.

    Raises:
        InvalidInputError: A requirement is not pinned.
        UnavailableError: Its environment could not be made, or it took too long.
        DiceboxError: It failed, or its last line is no JSON object.
    """
    python = environment_of(peer, work)
    process = subprocess.Popen(
        [python, peer.script, *arguments],
        env={**_clean_environ(), **peer.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process, observe(process.pid):
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{peer.name} took longer than {timeout_s:g} s") from error
        finally:
            process.kill()  # for nothing, if it has ended
    if process.returncode != 0:
        raise DiceboxError(f"{peer.name} ended with {process.returncode}: {errors[-_TAIL:]}")
    return _last_object(peer.name, output)


def environment_of(peer: Peer, work: Path) -> Path:
    """Return the Python of a peer's environment, which is made at its first use.

    Raises:
        InvalidInputError: A requirement is not pinned.
        UnavailableError: pip could not install it.
    """
    loose = [each for each in peer.requirements if "==" not in each and not Path(each).is_file()]
    if loose:
        raise InvalidInputError(f"{peer.name}: expected pinned requirements, got {loose}")
    wanted = "\n".join([sys.version, *peer.requirements])
    key = hashlib.sha256(wanted.encode()).hexdigest()[:10]
    folder = work / "environments" / f"{peer.name.lower().replace(' ', '-')}-{key}"
    python = folder / "bin" / "python"
    if not (folder / _READY).exists():
        venv.EnvBuilder(with_pip=bool(peer.requirements), clear=True, symlinks=True).create(folder)
        if peer.requirements:
            _install(peer, python)
        (folder / _READY).write_text(wanted, encoding="utf-8")
    return python


def _install(peer: Peer, python: Path) -> None:
    command: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    ended = subprocess.run(
        [*command, *peer.requirements],
        env=_clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise UnavailableError(f"{peer.name} cannot be installed: {ended.stderr[-_TAIL:]}")


def _clean_environ() -> dict[str, str]:
    """Return the environment without what would let our own packages in."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in ours}


def _last_object(name: str, output: str) -> dict[str, Any]:
    last = (output.strip().splitlines() or [""])[-1]
    try:
        found = json.loads(last)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DiceboxError(f"{name}: expected a JSON object as the last line, got {last[:200]!r}")
    return found
