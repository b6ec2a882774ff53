"""Blobs in a dictionary."""

import time
from collections.abc import Iterator, Sequence

from commons.errors import NotFoundError, StorageFullError, UnavailableError


class MemoryBlobs:
    """`commons.ports.Blobs` in a dictionary, with room for `room` bytes."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.held: dict[str, bytes] = {}
        self.stored: dict[str, float] = {}
        self.room = room

    def put(self, name: str, data: bytes) -> bool:
        if name in self.held:
            return False
        if len(data) > self.room:
            raise StorageFullError(f"no space is left to store {name}")
        self.room -= len(data)
        self.held[name] = data
        self.stored[name] = time.time()
        return True

    def put_many(self, blobs: Sequence[tuple[str, bytes]]) -> list[bool]:
        return [self.put(name, data) for name, data in blobs]

    def get(self, name: str) -> bytes:
        if name not in self.held:
            raise NotFoundError(f"there is no blob named {name}")
        return self.held[name]

    def exists(self, name: str) -> bool:
        return name in self.held

    def delete(self, name: str) -> bool:
        return self.held.pop(name, None) is not None

    def names(self, prefix: str = "") -> Iterator[str]:
        return iter([name for name in self.held if name.startswith(prefix)])

    def stored_at(self, name: str) -> float:
        self.get(name)
        return self.stored[name]


class UnreadableBlobs(MemoryBlobs):
    """Holds what it cannot read: the blobs named in `bad`, or all while `is_away`."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: set[str] = set()
        self.is_away = False

    def get(self, name: str) -> bytes:
        if self.is_away or name in self.bad:
            raise UnavailableError(f"{name}: Input/output error")
        return super().get(name)
