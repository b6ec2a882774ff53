"""The folder of what a process keeps on its own machine."""

import errno
from pathlib import Path

from commons.errors import StorageFullError, UnavailableError


def make_data_folder(folder: Path) -> None:
    """Make the folder with those above it; one that is there is no error.

    Raises:
        StorageFullError: No space is left for it.
        UnavailableError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot make the folder {folder}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(reason) from error
        raise UnavailableError(reason) from error
