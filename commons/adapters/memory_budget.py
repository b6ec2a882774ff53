"""Memory that threads share: who would take more than is left waits for the others."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LARGE_BYTES = 16 * 1024 * 1024
# Of the GNU C library: without it, every thread keeps what it freed for itself.
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)


class MemoryBudget:
    """Bytes of which many may take a part at once; `total` is the most that one may ask for."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold some bytes for the length of the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            if size > _LARGE_BYTES and _TRIM is not None:
                _TRIM(0)
            with self._changed:
                self._free += size
                self._changed.notify_all()
