"""Whether the arrays of a cached entry still are what was written: by hash, once a worker."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

STATISTICS = "statistics.json"
_CHECKED = "checked"


def hashes_of(entry: Path) -> dict[str, str]:
    """Return the sha256 of each array of an entry, by the name of its file."""
    found = {}
    for file in sorted(entry.glob("*.npy")):
        with file.open("rb") as stream:
            found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def is_whole(entry: Path) -> bool:
    """Say whether the arrays of an entry have the hashes that are written beside them.

    Gigabytes take seconds to read: what one child of a worker process has found to be whole, the
    others of the same worker take for granted. The entry's lock is held.
    """
    try:
        known = json.loads((entry / STATISTICS).read_text(encoding="ascii"))["sha256"]
        checked = entry / _CHECKED
        if checked.exists() and checked.read_text(encoding="ascii") == _mark():
            return _are_there(entry, known)
        if hashes_of(entry) != known:
            return False
        mark_whole(entry)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def mark_whole(entry: Path) -> None:
    """Have the other children of this worker take an entry for whole."""
    (entry / _CHECKED).write_text(_mark(), encoding="ascii")


def _are_there(entry: Path, names: Mapping[str, str]) -> bool:
    return all((entry / name).exists() for name in names)


def _mark() -> str:
    """Return what tells the parent of this process from all others, before it and at once."""
    parent = os.getppid()
    try:
        # The moment it started: the 22nd field, the 20th behind the name in brackets.
        stat = Path(f"/proc/{parent}/stat").read_text(encoding="ascii", errors="replace")
        return f"{parent} {stat.rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return str(parent)
