"""A cache of examples on its way: arrays that are filled in order, and a journal of how far.

The journal is written after what it speaks of is on the disk, so that whoever takes a filling
up again puts every example in its place once, whenever the one before was killed.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from commons.errors import InvalidInputError, StorageFullError
from commons.messages import Order, ShardDescriptor, Split
from trainer.durable import is_full, sync_folder, write_durably
from trainer.examples import Part

_JOURNAL = "journal.json"


class _Journal(BaseModel):
    """How far a filling is: shard `sequence` of `shards` of an order, `filled` of each split."""

    model_config = ConfigDict(extra="forbid")

    order: str
    shards: int
    sequence: int = 0
    filled: dict[Split, int]
    counts: dict[Split, int]


class Filling:
    """The arrays of some splits in a folder of their own, with how far they are filled.

    Args:
        folder: Where they are; made, or taken up as it is.
        counts: How many examples each split will have.
        shape: Of one image.
    """

    def __init__(
        self, folder: Path, counts: Mapping[Split, int], shape: tuple[int, int, int]
    ) -> None:
        self._folder = folder
        self._counts = dict(counts)
        self._shape = shape
        self._columns = {
            split: (
                _Column(folder / f"{split}-images.npy", (count, *shape), np.uint8),
                _Column(folder / f"{split}-labels.npy", (count,), np.int64),
            )
            for split, count in counts.items()
        }
        self._unsynced: set[_Column] = set()
        self._kept: _Journal | None = None
        self._journal = self._taken_up() or self._begun()

    @property
    def order(self) -> str | None:
        """Return the order it is filled from, if there was one."""
        return self._journal.order or None

    @property
    def sequence(self) -> int:
        """Return the last shard that is in."""
        return self._journal.sequence

    @property
    def examples(self) -> int:
        """Return how many examples are in."""
        return sum(self._journal.filled.values())

    @property
    def shards(self) -> int:
        """Return how many shards its order has."""
        return self._journal.shards

    def follow(self, order: Order) -> None:
        """Fill from this order from now on: the same one again, so it goes on where it is."""
        if self.order is not None and order.shards != self._journal.shards:
            # Cut otherwise: shards so far are not those of this one.
            self._journal = self._begun()
        self._journal = self._journal.model_copy(update={"order": order.id, "shards": order.shards})
        self.keep()

    def append(self, shard: ShardDescriptor, part: Part) -> None:
        """Put the next shard in.

        Raises:
            InvalidInputError: It is not what was ordered.
        """
        start = self._journal.filled[shard.split]
        end = start + len(part.labels)
        if end > self._counts[shard.split] or part.images.shape[1:] != self._shape:
            raise InvalidInputError(
                f"expected {self._counts[shard.split]} {shard.split} examples {self._shape}, "
                f"got at least {end} {part.images.shape[1:]}"
            )
        images, labels = self._columns[shard.split]
        with _room(self._folder):
            images.write(start, part.images)
            labels.write(start, part.labels)
        self._unsynced |= {images, labels}
        self._journal.filled[shard.split] = end
        self._journal.sequence = shard.sequence

    def keep(self) -> None:
        """Make what is in survive a crash."""
        if self._journal == self._kept:
            return
        with _room(self._folder):
            while self._unsynced:
                self._unsynced.pop().sync()
        write_durably(self._folder / _JOURNAL, self._journal.model_dump_json())
        self._kept = self._journal.model_copy(deep=True)

    def images(self, split: Split) -> npt.NDArray[np.uint8]:
        """Return the images of a split."""
        return self._columns[split][0].read()

    def finish(self, place: Path) -> None:
        """Give the folder its final name.

        Raises:
            InvalidInputError: There were fewer examples than expected.
        """
        for split, count in self._counts.items():
            if self._journal.filled[split] != count:
                raise InvalidInputError(
                    f"expected {count} {split} examples, got {self._journal.filled[split]}"
                )
        self.keep()
        self._folder.rename(place)
        sync_folder(place.parent)

    def _taken_up(self) -> _Journal | None:
        """Return the journal of what was filled here before, if all of it is there."""
        try:
            journal = _Journal.model_validate_json((self._folder / _JOURNAL).read_bytes())
            for pair in self._columns.values():
                for column in pair:
                    column.check()
        except (OSError, ValueError, ValidationError):
            return None
        return journal if journal.counts == self._counts else None

    def _begun(self) -> _Journal:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            with _room(self._folder):
                for pair in self._columns.values():
                    for column in pair:
                        column.make()
        except StorageFullError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        filled = dict.fromkeys(self._counts, 0)
        return _Journal(order="", shards=0, filled=filled, counts=self._counts)


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Say it in our words where the disk is full."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise StorageFullError(f"no space is left for the examples in {folder.parent}") from error


class _Column:
    """A `.npy` file that is written from its start on, by calls and not through a mapping.

    A page of a mapping costs a fault when it is first written, and ends the process where the
    disk has no room for it.
    """

    def __init__(self, file: Path, shape: tuple[int, ...], kind: type[np.generic]) -> None:
        self._file = file
        self._shape = shape
        self._kind = np.dtype(kind)
        self._row_bytes = self._kind.itemsize * int(np.prod(shape[1:]))

    def make(self) -> None:
        """Make the file with its room taken."""
        array = np.lib.format.open_memmap(
            self._file, mode="w+", dtype=self._kind, shape=self._shape
        )
        del array
        with self._file.open("r+b") as stream:
            if hasattr(os, "posix_fallocate"):  # not everywhere; then the first write says it
                os.posix_fallocate(stream.fileno(), 0, self._file.stat().st_size)

    def check(self) -> None:
        """Return if the file is there; raises `OSError` or `ValueError`."""
        found = np.load(self._file, mmap_mode="r")
        if found.shape != self._shape or found.dtype != self._kind:
            raise ValueError(f"expected {self._kind} {self._shape}, found {found.shape}")

    def write(self, row: int, values: npt.NDArray[Any]) -> None:
        """Write rows."""
        data = np.ascontiguousarray(values, self._kind).reshape(-1).view(np.uint8).data
        end_of_header = self._file.stat().st_size - self._row_bytes * self._shape[0]
        with self._file.open("r+b", buffering=0) as stream:
            stream.seek(end_of_header + row * self._row_bytes)
            while data:
                data = data[stream.write(data) :]

    def sync(self) -> None:
        """Have what was written survive a crash."""
        with self._file.open("r+b") as stream:
            os.fsync(stream.fileno())

    def read(self) -> npt.NDArray[Any]:
        """Return all rows, mapped."""
        rows: npt.NDArray[Any] = np.load(self._file, mmap_mode="r")
        return rows
