"""Blobs as files of one folder, which may be shared by many machines (EFS, NFS)."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from commons.adapters.blob_name import checked_blob_name
from commons.errors import NotFoundError, StorageFullError, UnavailableError

_TEMPORARY = ".temporary"  # starts with a dot, so no blob can be named like it


class FileBlobs:
    """`commons.ports.Blobs` in `root`, which is made when the first blob is put.

    A blob is written beside the others under a temporary name, synced, linked to its own name
    (which fails when that exists: created once) and the folder is synced, so that after a
    crash it is whole or absent.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable_folders: set[Path] = set()

    def put(self, name: str, data: bytes) -> bool:
        """Store bytes durably and say whether they are new."""
        path = self._path(name)
        with _translated(name):
            self._make_folder(path.parent)
            if path.exists():
                # Whoever linked it may not have synced the folder yet; it must hold for us too.
                _sync_folder(path.parent)
                return False
            temporary = self._root / _TEMPORARY / uuid.uuid4().hex
            self._make_folder(temporary.parent)
            try:
                _write_synced(temporary, data)
                created = _link(temporary, path)
            finally:
                with suppress(FileNotFoundError):
                    temporary.unlink()
            _sync_folder(path.parent)
            return created

    def get(self, name: str) -> bytes:
        """Return the bytes."""
        path = self._path(name)
        with _translated(name):
            return path.read_bytes()

    def exists(self, name: str) -> bool:
        """Say whether a blob has this name."""
        path = self._path(name)
        with _translated(name):
            return path.is_file()

    def delete(self, name: str) -> bool:
        """Remove a blob for good and say whether it was there."""
        path = self._path(name)
        with _translated(name):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _sync_folder(path.parent)
            return True

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix`, in no order."""
        start = self._root / prefix.rpartition("/")[0]
        for folder, folders, files in os.walk(start):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for file in files:
                name = (Path(folder) / file).relative_to(self._root).as_posix()
                if name.startswith(prefix):
                    yield name

    def _path(self, name: str) -> Path:
        return self._root / checked_blob_name(name)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder whose every entry up to the root's own survives a crash."""
        if folder in self._durable_folders:
            return
        if folder != self._root:
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
        else:
            folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
        self._durable_folders.add(folder)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no blob named {name}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"no space is left to store {name}") from error
        raise UnavailableError(f"the storage failed at {name}: {error}") from error
