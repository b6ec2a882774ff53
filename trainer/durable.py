"""Small files that survive a crash."""

import errno
import os
from pathlib import Path

from commons.errors import StorageFullError


def write_durably(file: Path, text: str) -> None:
    """Replace a file by a text that survives a crash from then on; before, the old one does.

    Raises:
        StorageFullError: No space is left; the file is as it was.
    """
    draft = file.with_suffix(".draft")
    try:
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        draft.unlink(missing_ok=True)
        if is_full(error):
            raise StorageFullError(f"no space is left to write {file}") from error
        raise
    draft.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(error: OSError) -> bool:
    """Say whether a disk or somebody's share of it is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
