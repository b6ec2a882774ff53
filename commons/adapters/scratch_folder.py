"""A folder of one process for what is worthless after it, tidied up even when it is killed."""

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path


class ScratchFolder:
    """A folder under `parent` whose name says whose it is.

    Args:
        parent: Several processes may keep their folders in it.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self.path = parent / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def make(self) -> None:
        """Make the folder, and remove those of processes that ended without removing theirs."""
        self.path.mkdir(parents=True, exist_ok=True)
        for other in self._parent.iterdir():
            owner = other.name.partition("-")[0]
            if owner.isdigit() and not _lives(int(owner)):
                shutil.rmtree(other, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder with all that is in it; one that was never made is no error."""
        shutil.rmtree(self.path, ignore_errors=True)


def _lives(process: int) -> bool:
    with suppress(PermissionError):  # it lives, and is somebody else's
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
