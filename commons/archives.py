"""Reads zip, tar and tar.gz files of unknown origin: bounded work, and nothing is written.

A member is never stored under its own name, and links, devices and encrypted or sparse files
are faults and not followed. How much is unpacked is bounded by the archive's own size.
"""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

from commons.errors import InvalidInputError, TooLargeError

# Pictures hardly shrink; many tiny ones in a tar are headers and padding by nine tenths.
_MOST_RATIO = 100
_FREE_BYTES = 64 * 1024 * 1024
_MOST_DIRECTORY_BYTES = 24 * 1024 * 1024
_MOST_ONE_READ = 65 * 1024 * 1024  # above the largest picture
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Member:
    """A file of an archive; `fault` says why it must not be read, if so."""

    name: str
    size: int
    fault: str | None
    open: Callable[[], IO[bytes] | None]

    def read(self, most_bytes: int) -> bytes:
        """Return its bytes.

        Raises:
            TooLargeError: It is larger than that, or the archive unpacks to far too much.
            InvalidInputError: It may not be read, or is damaged.
        """
        if self.fault is not None:
            raise InvalidInputError(self.fault, kind="refused-member")
        if self.size > most_bytes:
            raise TooLargeError(f"expected at most {most_bytes:,} bytes, got {self.size:,}")
        try:
            file = self.open()
            data = file.read(most_bytes + 1) if file is not None else b""
        except _DAMAGE as error:
            raise InvalidInputError(f"the file is damaged: {error}", kind="damaged-file") from error
        if len(data) != self.size:
            raise InvalidInputError("the file is cut off or larger than it says")
        return data


class Archive(Protocol):
    """An open archive."""

    def members(self) -> Iterator[Member]:
        """Yield the files from first to last; each is read before the next one is asked for.

        Raises:
            InvalidInputError: The archive is damaged from here on.
            TooLargeError: It unpacks to far more than pictures do.
        """
        ...


def open_archive(file: IO[bytes], size: int) -> Archive:
    """Return the archive in a file that can seek; what it is its first bytes say.

    Raises:
        InvalidInputError: It is no zip, tar or tar.gz.
        TooLargeError: A zip with far too many files.
    """
    file.seek(0)
    head = file.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _Zip(file, size)
    if head.startswith(b"\x1f\x8b"):
        return _Tar(file, size, packed=True)
    if head[257:262] == b"ustar" or (len(head) == 512 and not any(head)):  # noqa: PLR2004
        return _Tar(file, size, packed=False)
    raise InvalidInputError(
        "expected a zip, tar or tar.gz file, got something else", kind="not-an-archive"
    )


class _Bounded(io.RawIOBase):
    """A stream that ends with an error before it has unpacked too much."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file = file
        self._left = left
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        # Header blocks of a tar claim any size, and are read in one go.
        if not 0 <= size <= _MOST_ONE_READ:
            size = _MOST_ONE_READ
        self._left -= size
        if self._left < 0:
            raise TooLargeError(
                f"the archive unpacks to more than {_MOST_RATIO} times its size: refused",
                kind="archive-bomb",
            )
        data = self._file.read(size)
        self._left += size - len(data)
        self._at += len(data)
        return data

    def tell(self) -> int:
        return self._at

    def seek(self, position: int, whence: int = 0, /) -> int:
        if whence != 0 or position < self._at:
            raise OSError("this stream only goes forward")
        while self._at < position:
            if not self.read(min(position - self._at, 1 << 20)):
                break
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


class _Tar:
    def __init__(self, file: IO[bytes], size: int, *, packed: bool) -> None:
        self._file = file
        self._size = size
        self._packed = packed

    def members(self) -> Iterator[Member]:
        self._file.seek(0)
        stream = self._file
        if self._packed:
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=self._file, mode="rb"))
        bounded = cast("IO[bytes]", _Bounded(stream, _FREE_BYTES + _MOST_RATIO * self._size))
        try:
            with tarfile.open(fileobj=bounded, mode="r:") as tar:
                while (info := tar.next()) is not None:
                    cast("Any", tar).members.clear()  # it would remember a million of them
                    if not info.isdir():
                        yield Member(info.name, info.size, _tar_fault(info), _opener(tar, info))
        except _DAMAGE as error:
            raise _damaged(error) from error


def _opener(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: tar.extractfile(info)


def _tar_fault(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "expected a file, got a link"
    if not info.isreg() or info.issparse():
        return "expected a file, got a device or a sparse file"
    return None


class _Zip:
    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = _FREE_BYTES + _MOST_RATIO * size
        if _directory_bytes(file, size) > _MOST_DIRECTORY_BYTES:
            raise TooLargeError("expected a zip of some 250,000 files at most: send a tar instead")

    def members(self) -> Iterator[Member]:
        left = self._left
        try:
            with zipfile.ZipFile(self._file) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        left -= info.file_size
                        fault = _zip_fault(info)
                        if left < 0:
                            raise TooLargeError(
                                f"the archive unpacks to more than {_MOST_RATIO} times its size",
                                kind="archive-bomb",
                            )
                        yield Member(info.filename, info.file_size, fault, _unzipper(archive, info))
        except _DAMAGE as error:
            raise _damaged(error) from error


def _unzipper(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: archive.open(info)


def _zip_fault(info: zipfile.ZipInfo) -> str | None:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "expected a file, got a link"
    if info.flag_bits & 1:
        return "expected a file, got an encrypted one"
    return None


def _directory_bytes(file: IO[bytes], size: int) -> int:
    """Return how large the directory of a zip says it is, before anybody reads it."""
    tail_bytes = min(size, 65_557 + 20)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 16:
        raise InvalidInputError("the zip is cut off: it has no directory", kind="damaged-archive")
    (claimed,) = struct.unpack_from("<I", tail, at + 12)
    locator = tail.rfind(b"PK\x06\x07", 0, at)
    if locator >= 0 and len(tail) >= locator + 16:
        (record,) = struct.unpack_from("<Q", tail, locator + 8)
        file.seek(min(record, size))
        large = file.read(56)
        if len(large) == 56:  # noqa: PLR2004 - the fixed part of the record
            (claimed,) = struct.unpack_from("<Q", large, 40)
    return int(claimed)


def _damaged(error: BaseException) -> InvalidInputError:
    return InvalidInputError(f"the archive is damaged or cut off: {error}", kind="damaged-archive")
