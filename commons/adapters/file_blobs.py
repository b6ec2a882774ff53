"""Blobs as files of one folder, which may be shared by many machines (EFS, NFS)."""

import errno
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from commons.adapters.blob_name import checked_blob_name
from commons.adapters.shared_folder import SharedFolder
from commons.errors import NotFoundError, StorageFullError, UnavailableError

_TEMPORARY = ".temporary"  # starts with a dot, so no blob can be named like it
_THREADS = 8  # syncs of one `put_many` that wait for the disk at once
_A_THREAD = 4  # fewer syncs than this are done sooner than a thread starts
_FULL = (errno.ENOSPC, errno.EDQUOT)
_PROBE = bytes(4096)


class Files(Protocol):
    """The file operations that decide what survives a crash; errors are `OSError`."""

    def exists(self, path: Path) -> bool:
        """Say whether there is such a file."""
        ...

    def make_folder(self, path: Path) -> None:
        """Make a folder with those above it; one that is there is no error."""
        ...

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file."""
        ...

    def sync_file(self, path: Path) -> None:
        """Have the bytes of a file survive a crash, under every name it has."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Have the names in a folder survive a crash."""
        ...

    def link(self, path: Path, name: Path) -> bool:
        """Give a file a second name, unless that is taken; say whether it was free."""
        ...

    def unlink(self, path: Path) -> None:
        """Take a name away; one that is not there is no error."""
        ...


class LocalFiles:
    """`Files` of the operating system."""

    def exists(self, path: Path) -> bool:
        """Say whether there is such a file."""
        return path.exists()

    def make_folder(self, path: Path) -> None:
        """Make a folder with those above it."""
        path.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file."""
        with path.open("xb") as file:
            file.write(data)

    def sync_file(self, path: Path) -> None:
        """Have the bytes of a file survive a crash."""
        _sync(path, os.O_RDONLY)

    def sync_folder(self, path: Path) -> None:
        """Have the names in a folder survive a crash."""
        _sync(path, os.O_RDONLY | os.O_DIRECTORY)

    def link(self, path: Path, name: Path) -> bool:
        """Give a file a second name, unless that is taken."""
        try:
            os.link(path, name)
        except FileExistsError:
            return False
        return True

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        path.unlink(missing_ok=True)


class FileBlobs:
    """`commons.ports.Blobs` in `root`, which is made when the first blob is put.

    A blob is written beside the others under a temporary name, synced, linked to its own name
    (which fails when that exists: created once) and the folder is synced, so that after a
    crash it is whole or absent.

    Args:
        root: The folder.
        files: How files are written; a test hands in a disk that forgets what was not synced.
        threads: How many files are synced at once; 1 keeps all steps in one order.
        sentinel: Name of a file in the root without which nothing is put, nor said not to be
            there: it shows that a shared folder is mounted.
    """

    def __init__(
        self,
        root: Path,
        files: Files | None = None,
        threads: int = _THREADS,
        sentinel: str | None = None,
    ) -> None:
        self._root = root
        self._files = LocalFiles() if files is None else files
        self._threads = threads
        self._shared = SharedFolder(root, sentinel)
        self._durable_folders: set[str] = set()

    @property
    def root(self) -> Path:
        """The folder; it may not be there yet."""
        return self._root

    def put(self, name: str, data: bytes) -> bool:
        """Store bytes durably and say whether they are new."""
        return self.put_many([(name, data)])[0]

    def put_many(self, blobs: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Store some blobs durably and say of each whether it is new.

        Each step is taken for all of them before the next one: a file system makes durable at
        once what has gathered since the last sync, so the first sync pays for the others.
        """
        paths = [self._path(name) for name, _ in blobs]
        what = blobs[0][0] if len(blobs) == 1 else f"{len(blobs)} blobs"
        self._shared.check()
        with _translated(what):
            folders = {path.parent for path in paths}
            new = self._make_folders(folders)
            created = self._create(paths, [data for _, data in blobs])
            # Whoever linked a blob that was there may not have synced its folder yet; it must
            # hold for us too.
            self._for_all(self._files.sync_folder, folders | {folder.parent for folder in new})
            self._durable_folders.update(map(os.fspath, new))
            return created

    def get(self, name: str) -> bytes:
        """Return the bytes."""
        path = self._path(name)
        with self._looking_for(name):
            return path.read_bytes()

    def exists(self, name: str) -> bool:
        """Say whether a blob has this name."""
        path = self._path(name)
        with _translated(name):
            if path.is_file():
                return True
        self._shared.check()
        return False

    def delete(self, name: str) -> bool:
        """Remove a blob for good and say whether it was there."""
        path = self._path(name)
        with _translated(name):
            try:
                path.unlink()
            except FileNotFoundError:
                self._shared.check()
                return False
            self._files.sync_folder(path.parent)
            return True

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix`, in no order."""
        self._shared.check()
        start = self._root / prefix.rpartition("/")[0]
        for folder, folders, files in os.walk(start):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for file in files:
                name = (Path(folder) / file).relative_to(self._root).as_posix()
                if name.startswith(prefix) and not file.startswith("."):
                    yield name

    def stored_at(self, name: str) -> float:
        """Return when a blob was stored, in unix seconds."""
        path = self._path(name)
        with self._looking_for(name):
            return path.stat().st_mtime

    def leftovers(self, older_than_s: float) -> Iterator[str]:
        """Yield the temporary files of writers that died, by their age in seconds."""
        folder = self._root / _TEMPORARY
        for file in folder.iterdir() if folder.is_dir() else ():
            with suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime >= older_than_s:
                    yield f"{_TEMPORARY}/{file.name}"

    def probe(self) -> None:
        """Write a file as a put does, and remove it.

        Raises:
            StorageFullError: No space is left.
            UnavailableError: The folder is not mounted, or cannot be written.
        """
        self._shared.check()
        file = self._root / _TEMPORARY / uuid.uuid4().hex
        try:
            self._files.make_folder(file.parent)
            try:
                self._files.write(file, _PROBE)
                self._files.sync_file(file)
            finally:
                self._files.unlink(file)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFullError(f"no space is left in {self._root}") from error
            if error.errno == errno.EROFS:
                raise UnavailableError(f"{self._root} is read-only") from error
            raise UnavailableError(f"{self._root} cannot be written: {error.strerror}") from error

    def _create(self, paths: Sequence[Path], datas: Sequence[bytes]) -> list[bool]:
        """Give whole files these names, unless they are taken; say of each whether it was free."""
        folder = self._root / _TEMPORARY
        # Not synced: nothing of it needs to survive a crash.
        self._files.make_folder(folder)
        written: dict[int, Path] = {}
        try:
            for number, (path, data) in enumerate(zip(paths, datas, strict=True)):
                if not self._files.exists(path):
                    written[number] = folder / uuid.uuid4().hex
                    self._files.write(written[number], data)
            self._for_all(self._files.sync_file, written.values())
            free = {
                number for number, file in written.items() if self._files.link(file, paths[number])
            }
            return [number in free for number in range(len(paths))]
        finally:
            for file in written.values():
                self._files.unlink(file)

    def _for_all(self, do: Callable[[Path], None], paths: Iterable[Path]) -> None:
        """Do something to all paths, in threads where that is worth it."""
        paths = list(paths)
        threads = min(self._threads, len(paths) // _A_THREAD)
        if threads <= 1:
            for path in paths:
                do(path)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(do, paths):
                pass

    @contextmanager
    def _looking_for(self, name: str) -> Iterator[None]:
        """Translate errors; nothing is said to be missing where all is."""
        try:
            with _translated(name):
                yield
        except NotFoundError:
            self._shared.check()
            raise

    def _path(self, name: str) -> Path:
        return self._root / checked_blob_name(name)

    def _make_folders(self, folders: Iterable[Path]) -> set[Path]:
        """Make folders; return those up to the root whose entry may not survive a crash yet."""
        new: set[Path] = set()
        for folder in folders:
            wanted = folder
            # As text: a million images fill 65,000 folders, and a Path takes three times as much.
            while wanted not in new and os.fspath(wanted) not in self._durable_folders:
                new.add(wanted)
                if wanted == self._root:
                    break
                wanted = wanted.parent
            if folder in new:
                self._files.make_folder(folder)
        return new


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no blob named {name}") from error
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(f"no space is left to store {name}") from error
        raise UnavailableError(f"the storage failed at {name}: {error}") from error


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
