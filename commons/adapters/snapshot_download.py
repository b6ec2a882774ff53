"""Saves the export of a snapshot, and makes sure that all of it came."""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from commons.errors import StorageFullError, UnavailableError

_FULL = frozenset({28, 122})  # ENOSPC, EDQUOT
_PART_BYTES = 1 << 20


def save_export(
    parts: Iterator[bytes], images: int, file: Path, received: Callable[[int], object]
) -> int:
    """Write a tar of a snapshot to a file, checked on the way, and return its bytes.

    The file is there, whole and durable, or not at all: it grows under another name.

    Args:
        parts: The tar as it comes.
        images: How many the snapshot has.
        file: Where it is to be; one that is there already is replaced.
        received: Called with the bytes of every part.

    Raises:
        UnavailableError: It was cut off, or an image is not the one of its name.
        StorageFullError: No space is left for it.
        OSError: The file cannot be written.
    """
    draft = file.with_name(f"{file.name}.part")
    try:
        with draft.open("wb") as output:
            size = _checked(_Copy(parts, output, received), images)
            output.flush()
            os.fsync(output.fileno())
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno in _FULL:
            raise StorageFullError(f"no space is left for {file}") from error
        raise
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return size


class _Copy:
    """A stream that reads the parts and writes each of them down as well."""

    def __init__(
        self, parts: Iterator[bytes], output: IO[bytes], received: Callable[[int], object]
    ) -> None:
        self._parts = parts
        self._output = output
        self._received = received
        self._held = b""
        self.size = 0

    def read(self, size: int) -> bytes:
        while len(self._held) < size and (part := next(self._parts, b"")):
            self._output.write(part)
            self._received(len(part))
            self.size += len(part)
            self._held += part
        data, self._held = self._held[:size], self._held[size:]
        return data


def _checked(copy: _Copy, images: int) -> int:
    found = 0
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", copy), mode="r|", bufsize=_PART_BYTES) as tar:
            for member in tar:
                cast("Any", tar).members.clear()  # it would remember a million of them
                sha256 = member.name.rpartition("/")[2].partition(".")[0]
                if len(sha256) == hashlib.sha256().digest_size * 2:
                    found += 1
                    if _sha256(tar.extractfile(member)) != sha256:
                        raise UnavailableError(f"{member.name} of the export is damaged")
    except tarfile.TarError as error:
        raise UnavailableError(f"the export was cut off or damaged: {error}") from error
    while copy.read(_PART_BYTES):  # what pads the end
        pass
    if found != images:
        raise UnavailableError(f"expected {images:,} images in the export, got {found:,}")
    return copy.size


def _sha256(file: IO[bytes] | None) -> str:
    hashed = hashlib.sha256()
    while file is not None and (data := file.read(_PART_BYTES)):
        hashed.update(data)
    return hashed.hexdigest()
