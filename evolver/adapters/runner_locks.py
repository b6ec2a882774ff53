"""Says which runners of a data folder have ended, however they ended."""

import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_OLD_S = 86400.0


class RunnerLocks:
    """A file for every runner, locked by the system for as long as its process lives.

    Args:
        folder: On this machine's disk; runners of other machines have none in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[FileLock] = []

    def hold(self, name: str) -> None:
        """Lock the file of a runner until this process ends."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        lock = FileLock(self._file(name))
        lock.acquire(timeout=0)
        self._held.append(lock)

    def is_dead(self, name: str) -> bool:
        """Say whether a runner of this folder has ended; of others nothing is known."""
        return self._file(name).exists() and self._is_free(self._file(name))

    def _sweep(self) -> None:
        """Remove the files of runners that ended long ago: their leases are over."""
        for file in self._folder.glob("*.lock"):
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > _OLD_S and self._is_free(file):
                    file.unlink()

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.lock"

    @staticmethod
    def _is_free(file: Path) -> bool:
        lock = FileLock(file)
        try:
            with lock.acquire(timeout=0):
                return True
        except Timeout:
            return False
