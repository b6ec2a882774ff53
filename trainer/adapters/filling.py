"""A cache of examples on its way: arrays that are filled in order, and a journal of how far.

The journal is written after what it speaks of is on the disk, so that whoever takes a filling
up again puts every example in its place once, whenever the one before was killed.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

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
        self._arrays: dict[Split, tuple[_Array, _Array]] = {}
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
    def is_full(self) -> bool:
        """Say whether the last shard of its order is in."""
        return self.order is not None and self._journal.sequence >= self._journal.shards

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
        images, labels = self._arrays[shard.split]
        images[start:end] = part.images
        labels[start:end] = part.labels
        self._journal.filled[shard.split] = end
        self._journal.sequence = shard.sequence

    def keep(self) -> None:
        """Make what is in survive a crash."""
        for pair in self._arrays.values():
            for array in pair:
                array.flush()
        write_durably(self._folder / _JOURNAL, self._journal.model_dump_json())

    def images(self, split: Split) -> "_Array":
        """Return the images of a split."""
        return self._arrays[split][0]

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
            self._arrays = {split: self._opened(split) for split in self._counts}
        except (OSError, ValueError, ValidationError):
            return None
        return journal if journal.counts == self._counts else None

    def _begun(self) -> _Journal:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            for split, count in self._counts.items():
                _allocate(self._file(split, "images"), (count, *self._shape), np.uint8)
                _allocate(self._file(split, "labels"), (count,), np.int64)
                self._arrays[split] = self._opened(split)
        except OSError as error:
            if not is_full(error):
                raise
            shutil.rmtree(self._folder, ignore_errors=True)
            megabytes = sum(self._counts.values()) * (int(np.prod(self._shape)) + 8) / 1e6
            raise StorageFullError(
                f"no space is left for the examples in {self._folder.parent}: "
                f"expected {megabytes:.0f} MB"
            ) from error
        return _Journal(
            order="", shards=0, filled=dict.fromkeys(self._counts, 0), counts=self._counts
        )

    def _opened(self, split: Split) -> tuple["_Array", "_Array"]:
        images = np.load(self._file(split, "images"), mmap_mode="r+")
        labels = np.load(self._file(split, "labels"), mmap_mode="r+")
        count = self._counts[split]
        if images.shape != (count, *self._shape) or labels.shape != (count,):
            raise ValueError(f"expected {count} {split} examples, found {images.shape}")
        return images, labels

    def _file(self, split: Split, kind: str) -> Path:
        return self._folder / f"{split}-{kind}.npy"


_Array = np.memmap[tuple[int, ...], np.dtype[np.uint8 | np.int64]]


def _allocate(file: Path, shape: tuple[int, ...], kind: npt.DTypeLike) -> None:
    """Make a file whose room is taken: a page without room would end the process later."""
    array = np.lib.format.open_memmap(file, mode="w+", dtype=kind, shape=shape)
    del array
    with file.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
        os.fsync(stream.fileno())
