"""How much memory the jobs of this machine take, where the system tells (Linux)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


def own_bytes(process: int, proc: Path = _PROC) -> int:
    """Return the memory that a process has for itself, its children's included if they are told.

    Pages of files that they map, such as cached examples, are not counted: the system takes
    those back when it needs them. What is gone, or not known, has none.
    """
    folder = proc / str(process)
    children = sum(own_bytes(child, proc) for child in _children(folder))
    return children + _own_pages(folder) * os.sysconf("SC_PAGE_SIZE")


def oom_kills(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int:
    """Return how many processes the system has killed in this container, for want of memory."""
    for file in _event_files(proc, cgroup):
        with suppress(OSError, ValueError):
            for line in file.read_text(encoding="ascii").splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


def _event_files(proc: Path, cgroup: Path) -> Iterator[Path]:
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        # A container may see its own group as the root, under the name that it has outside.
        for inside in (path.lstrip("/"), ""):
            if not controllers:  # version 2
                yield cgroup / inside / "memory.events"
            elif controllers == "memory":  # version 1
                yield cgroup / "memory" / inside / "memory.oom_control"


def _own_pages(folder: Path) -> int:
    try:
        _, resident, shared, *_ = (folder / "statm").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0
    return int(resident) - int(shared)


def _children(folder: Path) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for thread in (folder / "task").iterdir():
            # Not every kernel has this file.
            with suppress(OSError):
                text = (thread / "children").read_text(encoding="ascii")
                children += [int(child) for child in text.split()]
    return children
