"""Room in a folder of entries: what nobody uses goes, what was used longest ago first.

An entry is a folder with its `<name>.lock` beside it, which whoever makes, opens or deletes it
holds, and with a file `used` in it: on that whoever uses the entry holds a shared lock for as
long, and its time is when somebody last began to.
"""

import fcntl
import logging
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

_USED = "used"
_LOG = logging.getLogger(__name__)


class Hold:
    """Keeps an entry from being deleted until it is closed, or forgotten, or this process ends.

    Args:
        entry: Where it is; its lock is held by whoever makes this.
    """

    def __init__(self, entry: Path) -> None:
        descriptor = os.open(entry / _USED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.close = weakref.finalize(self, os.close, descriptor)
        os.utime(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the entry."""
        self.close()


def make_room(folder: Path, needed: int, most: int) -> int:
    """Delete entries until `needed` bytes more make at most `most`, and return how many they free.

    What is in use stays, also where there is too little room then: whoever needs it goes on.
    """
    entries = sorted(_entries(folder), key=_last_use)
    sizes = {entry: size_of(entry) for entry in entries}
    above = sum(sizes.values()) + needed - most
    freed = 0
    for entry in entries:
        if freed >= above:
            break
        if _deleted(entry):
            _LOG.info("%s was deleted: %d bytes", entry, sizes[entry])
            freed += sizes[entry]
    if freed < above:
        _LOG.warning("%s will hold %d bytes above its %d", folder, above - freed, most)
    return freed


def size_of(entry: Path) -> int:
    """Return the bytes of the files in an entry, 0 of one that is gone."""
    total = 0
    with suppress(FileNotFoundError):
        for file in entry.iterdir():
            with suppress(FileNotFoundError):  # a draft that has its name meanwhile
                total += file.stat().st_size
    return total


def _entries(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        # What has no lock is none of ours.
        if entry.is_dir() and _lock_of(entry).exists():
            yield entry


def _lock_of(entry: Path) -> Path:
    """Return the lock of an entry; one that is being made has the same name behind a dot."""
    return entry.with_name(f"{entry.name.removeprefix('.')}.lock")


def _last_use(entry: Path) -> float:
    for file in (entry / _USED, entry):
        with suppress(FileNotFoundError):
            return file.stat().st_mtime
    return 0.0


def _deleted(entry: Path) -> bool:
    """Delete an entry, unless somebody has it, and say whether it is gone."""
    try:
        with FileLock(_lock_of(entry)).acquire(blocking=False), _alone(entry) as free:
            # Another one may have been faster.
            if free and entry.exists():
                shutil.rmtree(entry)
            return free
    except Timeout:
        return False


@contextmanager
def _alone(entry: Path) -> Iterator[bool]:
    """Say whether nobody uses an entry, and keep it so; its lock is held."""
    try:
        used = (entry / _USED).open("rb")
    except FileNotFoundError:
        yield True
        return
    with used:
        try:
            fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
