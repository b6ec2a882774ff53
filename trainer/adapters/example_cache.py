"""The examples of a snapshot on this machine: ordered once, shared by all workers."""

import hashlib
import io
import json
import shutil
import uuid
from pathlib import Path

import numpy as np
from filelock import FileLock

from commons.adapters.services import SensoryClient
from commons.errors import InvalidInputError, UnavailableError
from commons.messages import Order, OrderRequest, ShardDescriptor, Split
from commons.ports import Clock
from commons.training import TrainingData
from trainer.examples import Examples, Part, pixel_statistics

# The trainer never orders test images.
_SPLITS: tuple[Split, ...] = ("train", "validation")
_WAIT_S = 10.0


class ExampleCache:
    """Keeps the decoded examples of snapshots as memory-mapped arrays in a local folder."""

    def __init__(
        self, folder: Path, sensory: SensoryClient, clock: Clock, patience_s: float = 600.0
    ) -> None:
        self._folder = folder
        self._sensory = sensory
        self._clock = clock
        self._patience_s = patience_s

    def examples(self, data: TrainingData) -> Examples:
        """Return the examples, ordering them first if no worker of this machine has yet.

        Raises:
            InvalidInputError: The order failed, or a shard is not what its descriptor says.
            UnavailableError: No shard came for `patience_s` seconds.
        """
        place = self._folder / _key(data)
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            if not place.exists():
                self._fill(place, data)
        return _open(place)

    def _fill(self, place: Path, data: TrainingData) -> None:
        order = self._sensory.order(
            OrderRequest(
                snapshot=data.snapshot,
                splits=list(_SPLITS),
                shape=data.shape,
                resize=data.resize,
            )
        )
        counts = self._sensory.snapshot(data.snapshot).counts
        unfinished = place.with_name(f".{uuid.uuid4().hex}")
        unfinished.mkdir()
        try:
            arrays = {
                split: _SplitArrays(unfinished, split, counts.get(split, 0), data.shape)
                for split in _SPLITS
            }
            self._poll(order, arrays)
            mean, deviation = pixel_statistics(arrays["train"].images)
            statistics = {"mean": mean, "deviation": deviation}
            (unfinished / "statistics.json").write_text(json.dumps(statistics), encoding="ascii")
            for part in arrays.values():
                part.close()
            unfinished.rename(place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _poll(self, order: Order, arrays: dict[Split, "_SplitArrays"]) -> None:
        sequence, last = 0, False
        deadline = self._clock.monotonic() + self._patience_s
        while not last:
            shard = self._sensory.next_shard(order.id, sequence, _WAIT_S)
            if shard is None:
                self._complain(order.id, self._clock.monotonic() > deadline)
                continue
            arrays[shard.split].append(self._shard(shard))
            sequence, last = shard.sequence, shard.last
            deadline = self._clock.monotonic() + self._patience_s

    def _complain(self, order_id: str, out_of_patience: bool) -> None:
        order = self._sensory.order_state(order_id)
        if order.state in ("failed", "cancelled", "expired"):
            raise InvalidInputError(f"the batch order {order_id} {order.state}: {order.reason}")
        if out_of_patience:
            raise UnavailableError(
                f"no shard of the batch order {order_id} came for {self._patience_s:.0f} s "
                f"({order.ready} of {order.shards} are ready): does a batch processor run?"
            )
        # The service answers at once when all its waiting slots are taken.
        self._clock.sleep(0.05)

    def _shard(self, shard: ShardDescriptor) -> Part:
        data = self._sensory.shard(shard.sha256)
        came = hashlib.sha256(data).hexdigest()
        if came != shard.sha256:
            raise InvalidInputError(f"expected shard {shard.sha256}, got bytes with hash {came}")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Part(arrays["images"], arrays["labels"])


class _SplitArrays:
    """One split that is being filled, as two `.npy` files."""

    def __init__(self, folder: Path, split: Split, count: int, shape: tuple[int, int, int]) -> None:
        self.images = np.lib.format.open_memmap(
            folder / f"{split}-images.npy", mode="w+", dtype=np.uint8, shape=(count, *shape)
        )
        self._labels = np.lib.format.open_memmap(
            folder / f"{split}-labels.npy", mode="w+", dtype=np.int64, shape=(count,)
        )
        self._split = split
        self._filled = 0

    def append(self, part: Part) -> None:
        end = self._filled + len(part.labels)
        if end > len(self._labels):
            raise InvalidInputError(
                f"expected {len(self._labels)} {self._split} examples, got at least {end}"
            )
        self.images[self._filled : end] = part.images
        self._labels[self._filled : end] = part.labels
        self._filled = end

    def close(self) -> None:
        if self._filled != len(self._labels):
            raise InvalidInputError(
                f"expected {len(self._labels)} {self._split} examples, got {self._filled}"
            )
        self.images.flush()
        self._labels.flush()


def _key(data: TrainingData) -> str:
    shape = "x".join(map(str, data.shape))
    return f"{data.snapshot[:32]}-{shape}-{data.resize}"


def _open(place: Path) -> Examples:
    statistics = json.loads((place / "statistics.json").read_text(encoding="ascii"))
    parts = [
        Part(
            np.load(place / f"{split}-images.npy", mmap_mode="r"),
            np.load(place / f"{split}-labels.npy", mmap_mode="r"),
        )
        for split in _SPLITS
    ]
    return Examples(parts[0], parts[1], tuple(statistics["mean"]), tuple(statistics["deviation"]))
