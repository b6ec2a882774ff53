"""The data folder of one machine: whose it is at the moment, and under which address."""

import json
import os
import time
from pathlib import Path

from filelock import FileLock, Timeout

from commons.errors import ConflictError

# Whoever looks for a house holds the lock for a moment.
_CLAIM_S = 0.5
_POLL_S = 0.05
# One of them is there as soon as anything is: a house, or the tables of a command's own.
_OURS = ("house.lock", "keys.sqlite3", "sensory.sqlite3")


class DataFolder:
    """A folder with everything an embedded Dicebox keeps.

    One house at a time serves it: the one that holds the lock, which the system releases when
    its process ends, however it ends. Its address stands in `address.json`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock = FileLock(self.path / "house.lock")
        self._address = self.path / "address.json"
        self._key = self.path / "house.key"

    def exists(self) -> bool:
        """Say whether anything was ever kept here; another folder is none of ours."""
        return any((self.path / name).exists() for name in _OURS)

    def claim(self) -> str | None:
        """Become the one house of this folder.

        Returns:
            The address of the house before, if that did not give the folder back: it was
            killed, and its children may still be about to end.

        Raises:
            ConflictError: Another process is.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=_CLAIM_S, poll_interval=_POLL_S)
        except Timeout as error:
            where = self.address() or "another process"
            raise ConflictError(f"{self.path} is already served by {where}") from error
        left = self._read()
        self.retract()
        return left

    def publish(self, url: str, key: str) -> None:
        """Write down where the house of this folder listens, and a key for this user alone."""
        self._key.unlink(missing_ok=True)
        descriptor = os.open(self._key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(key)
        draft = self._address.with_suffix(".draft")
        draft.write_text(json.dumps({"url": url, "process": os.getpid()}), encoding="utf-8")
        draft.replace(self._address)

    def retract(self) -> None:
        """Take the address back: who comes now waits until the folder is free."""
        self._address.unlink(missing_ok=True)
        self._key.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the folder back."""
        self.retract()
        self._lock.release()

    def address(self, patience_s: float = 0.0) -> str | None:
        """Return where the house of this folder listens, or nothing while there is none.

        Args:
            patience_s: How long to wait for a house that is just starting.
        """
        deadline = time.monotonic() + patience_s
        while self._is_claimed():
            url = self._read()
            if url is not None or time.monotonic() >= deadline:
                return url
            time.sleep(_POLL_S)
        return None

    def key(self) -> str | None:
        """Return the key that the house of this folder left for commands of this user."""
        try:
            return self._key.read_text(encoding="ascii")
        except OSError:
            return None

    def _read(self) -> str | None:
        try:
            return str(json.loads(self._address.read_text(encoding="utf-8"))["url"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _is_claimed(self) -> bool:
        if not Path(self._lock.lock_file).exists():
            return False
        if self._lock.is_locked:
            return True
        try:
            with FileLock(self._lock.lock_file, timeout=0):
                return False
        except Timeout:
            return True
