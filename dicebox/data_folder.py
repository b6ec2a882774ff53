"""The data folder of one machine: whose it is at the moment, and under which address."""

import json
import os
from pathlib import Path

from filelock import FileLock, Timeout

from commons.errors import ConflictError


class DataFolder:
    """A folder with everything an embedded Dicebox keeps.

    One house at a time serves it: the one that holds the lock, which the system releases when
    its process ends, however it ends. Its address stands in `address.json`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock = FileLock(self.path / "house.lock")
        self._address = self.path / "address.json"

    def claim(self) -> None:
        """Become the one house of this folder.

        Raises:
            ConflictError: Another process is.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            where = self.address() or "another process"
            raise ConflictError(f"{self.path} is already served by {where}") from error
        self._address.unlink(missing_ok=True)

    def publish(self, url: str) -> None:
        """Write down where the house of this folder listens."""
        draft = self._address.with_suffix(".draft")
        draft.write_text(json.dumps({"url": url, "process": os.getpid()}), encoding="utf-8")
        draft.replace(self._address)

    def release(self) -> None:
        """Give the folder back."""
        self._address.unlink(missing_ok=True)
        self._lock.release()

    def address(self) -> str | None:
        """Return where the house of this folder listens, or nothing while there is none."""
        if not self._is_claimed():
            return None
        try:
            return str(json.loads(self._address.read_text(encoding="utf-8"))["url"])
        except FileNotFoundError:
            return None

    def _is_claimed(self) -> bool:
        if not self._lock.lock_file or not Path(self._lock.lock_file).exists():
            return False
        if self._lock.is_locked:
            return True
        try:
            with FileLock(self._lock.lock_file, timeout=0):
                return False
        except Timeout:
            return True
