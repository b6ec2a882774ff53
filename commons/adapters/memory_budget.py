"""Memory that threads share: who would take more than is left waits for the others."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LARGE_BYTES = 16 * 1024 * 1024
# Of the GNU C library. Without the one, every thread keeps what it freed for itself. Without the
# other, blocks of a size that was freed before are no longer mapped each for itself, and those
# that were freed between two others stay.
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)
_SET_OPTION = getattr(ctypes.CDLL(None), "mallopt", None)
_MAPPED_FROM = -3  # M_MMAP_THRESHOLD
_MAPPED_BYTES = 1024 * 1024


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
        if size > _LARGE_BYTES and _SET_OPTION is not None:
            _SET_OPTION(_MAPPED_FROM, _MAPPED_BYTES)
        try:
            yield
        finally:
            if size > _LARGE_BYTES and _TRIM is not None:
                _TRIM(0)
            with self._changed:
                self._free += size
                self._changed.notify_all()
