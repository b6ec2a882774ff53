"""The body of a request while it comes: small ones in memory, large ones in a file."""

import io
import tempfile
from contextlib import suppress
from typing import IO

_IN_MEMORY = 1024 * 1024


class Body:
    """What has come of a body; a large one lies in a temporary file, which `close` removes."""

    __slots__ = ("_file", "_parts", "size")

    def __init__(self) -> None:
        self.size = 0
        self._parts: list[bytes] = []
        self._file: IO[bytes] | None = None

    @property
    def is_in_memory(self) -> bool:
        """Whether reading it costs nothing."""
        return self._file is None

    def add(self, part: bytes) -> None:
        """Take what came; it is part of `size` in any case.

        Raises:
            OSError: There is no room for it; there is nothing to be read any more.
        """
        self.size += len(part)
        if self._file is None and self.size > _IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` does
            self._file.writelines(self._parts)
            self._parts.clear()
        if self._file is None:
            self._parts.append(part)
        else:
            self._file.write(part)
            # Now, and not when somebody reads it, it is found out whether there is room.
            self._file.flush()

    def read(self) -> bytes:
        """Return all of it."""
        if self._file is None:
            return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._file.seek(0)
        return self._file.read()

    def stream(self) -> IO[bytes]:
        """Return it as a stream from its beginning, which `close` closes."""
        if self._file is None:
            return io.BytesIO(b"".join(self._parts))
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give back what it takes."""
        self._parts.clear()
        if self._file is not None:
            # What found no room is tried again then.
            with suppress(OSError):
                self._file.close()
            self._file = None
