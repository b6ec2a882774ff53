"""The examples of a snapshot on this machine: ordered once, shared by all workers."""

import hashlib
import io
import json
import logging
import math
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol, TypeVar, cast

import numpy as np
from filelock import FileLock

from commons.errors import GoneError, InvalidInputError, NotFoundError, UnavailableError
from commons.messages import Order, OrderRequest, ShardDescriptor, Snapshot, Split
from commons.ports import Clock
from commons.training import TrainingData
from trainer.adapters.cache_check import STATISTICS, hashes_of, is_whole, mark_whole
from trainer.adapters.cache_room import Hold, make_room, size_of
from trainer.adapters.filling import Filling
from trainer.durable import write_durably
from trainer.examples import Examples, Part, pixel_statistics

# The trainer never orders test images.
_SPLITS: tuple[Split, ...] = ("train", "validation")
_WAIT_S = 10.0
_ENDED = frozenset({"failed", "cancelled", "expired"})
# An order that comes to nothing so often in a row will not come to anything.
_MOST_ORDERS = 3
_LABEL_BYTES = 8
_LOG = logging.getLogger(__name__)
Item = TypeVar("Item")


class Orders(Protocol):
    """What of the sensory service is needed here."""

    def snapshot(self, snapshot: str) -> Snapshot:
        """Return a frozen snapshot."""
        ...

    def order(self, request: OrderRequest) -> Order:
        """Place a batch order; the same request gives the same sequence of examples."""
        ...

    def order_state(self, order: str) -> Order:
        """Return where an order stands."""
        ...

    def next_shard(self, order: str, after: int, wait_s: float) -> ShardDescriptor | None:
        """Return the shard after a sequence number, or nothing if it is not ready in time."""
        ...

    def shard(self, sha256: str) -> bytes:
        """Return the bytes of a shard."""
        ...


class ExampleCache:
    """Keeps the decoded examples of snapshots as memory-mapped arrays in a local folder.

    Args:
        folder: Where the arrays are.
        sensory: Where they come from.
        clock: For the patience.
        patience_s: How long no shard may come.
        keep_every_s: How much work a kill may cost at most.
        shared: Returns the bytes of a shard by its hash where this machine can read them without
            the service, else None.
        most_bytes: Others go as far as needed before new examples come, but for those in use. This
            object uses what it has returned for as long as it lives.
    """

    def __init__(
        self,
        folder: Path,
        sensory: Orders,
        clock: Clock,
        patience_s: float = 600.0,
        keep_every_s: float = 1.0,
        shared: Callable[[str], bytes | None] = lambda _: None,
        most_bytes: int | None = None,
    ) -> None:
        self._folder = folder
        self._sensory = sensory
        self._clock = clock
        self._patience_s = patience_s
        self._keep_every_s = keep_every_s
        self._shared = shared
        self._most_bytes = most_bytes
        self._in_use: dict[Path, Hold] = {}

    def examples(
        self, data: TrainingData, report: Callable[[int, int], None] = lambda *_: None
    ) -> Examples:
        """Return the examples, ordering them first if no worker of this machine has yet.

        What another one began before it was killed is gone on with. What is damaged on the disk
        comes anew.

        Args:
            data: What is wanted.
            report: Called with how many examples are here and how many there will be.

        Raises:
            InvalidInputError: The order failed, or a shard is not what its descriptor says.
            StorageFullError: There is no room for the examples.
            UnavailableError: No shard came for `patience_s` seconds.
        """
        place = self._folder / _key(data)
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            if place.exists() and not is_whole(place):
                _LOG.warning("%s is damaged, and comes anew", place)
                shutil.rmtree(place)
            if not place.exists():
                self._fill(place, data, report)
            self._in_use[place] = Hold(place)
        return _open(place)

    def _fill(self, place: Path, data: TrainingData, report: Callable[[int, int], None]) -> None:
        counts = self._sensory.snapshot(data.snapshot).counts
        unfinished = place.with_name(f".{place.name}")
        every = sum(counts.get(split, 0) for split in _SPLITS)
        self._make_room(unfinished, every * (math.prod(data.shape) + _LABEL_BYTES))
        filling = Filling(unfinished, {s: counts.get(s, 0) for s in _SPLITS}, data.shape)
        source = _Source(self._sensory, self._shared, self._clock, data, self._patience_s, filling)
        kept_at = self._clock.monotonic()
        try:
            report(filling.examples, every)
            for came in _one_ahead(source.come(), filling.keep, self._keep_every_s):
                if isinstance(came, Order):
                    filling.follow(came)
                else:
                    filling.append(*came)
                report(filling.examples, every)
                if self._clock.monotonic() - kept_at >= self._keep_every_s:
                    filling.keep()
                    kept_at = self._clock.monotonic()
            mean, deviation = pixel_statistics(filling.images("train"))
            hashes = hashes_of(unfinished)
            statistics = {"mean": mean, "deviation": deviation, "sha256": hashes}
            write_durably(unfinished / STATISTICS, json.dumps(statistics))
            mark_whole(unfinished)
            filling.finish(place)
        except InvalidInputError:
            # Nothing shall be gone on with that may be wrong already.
            shutil.rmtree(unfinished, ignore_errors=True)
            raise

    def _make_room(self, unfinished: Path, size: int) -> None:
        if self._most_bytes is not None:
            here = size_of(unfinished) if unfinished.exists() else 0
            make_room(self._folder, max(0, size - here), self._most_bytes)


class _Source:
    """The shards that follow what is filled; an order that expired or is gone is placed again."""

    def __init__(
        self,
        sensory: Orders,
        shared: Callable[[str], bytes | None],
        clock: Clock,
        data: TrainingData,
        patience_s: float,
        filling: Filling,
    ) -> None:
        self._sensory = sensory
        self._shared = shared
        self._clock = clock
        self._request = OrderRequest(
            snapshot=data.snapshot, splits=list(_SPLITS), shape=data.shape, resize=data.resize
        )
        self._patience_s = patience_s
        self._order, self._shards = filling.order, filling.shards
        self._sequence = filling.sequence
        self._own_order: str | None = None
        self._orders = 0

    def come(self) -> Iterator[Order | tuple[ShardDescriptor, Part]]:
        """Yield each order that is placed, and each shard of it.

        Raises:
            InvalidInputError: The order failed or was cancelled, or a shard is wrong.
            UnavailableError: No shard came in time.
        """
        if self._order is None:
            yield self._place()
        deadline = self._clock.monotonic() + self._patience_s
        while self._sequence < self._shards:
            try:
                came = self._next(self._clock.monotonic() > deadline)
            except (GoneError, NotFoundError) as error:
                ours = self._order == self._own_order
                if ours and (error.kind == "order-cancelled" or self._orders >= _MOST_ORDERS):
                    raise InvalidInputError(f"the batch order {self._order}: {error}") from error
                yield self._place()
                continue
            if came is None:
                # The service answers at once when all its waiting slots are taken.
                self._clock.sleep(0.05)
                continue
            yield came
            self._sequence, self._orders = came[0].sequence, 0
            deadline = self._clock.monotonic() + self._patience_s

    def _next(self, out_of_patience: bool) -> tuple[ShardDescriptor, Part] | None:
        order = str(self._order)
        shard = self._sensory.next_shard(order, self._sequence, _WAIT_S)
        if shard is None:
            self._check(order, out_of_patience)
            return None
        return shard, self._read(shard)

    def _place(self) -> Order:
        order = self._sensory.order(self._request)
        if order.shards != self._shards:
            # Cut otherwise: the filling begins anew as well.
            self._sequence = 0
        self._order, self._shards = order.id, order.shards
        self._own_order = order.id
        self._orders += 1
        return order

    def _check(self, order_id: str, out_of_patience: bool) -> None:
        order = self._sensory.order_state(order_id)
        if order.state in _ENDED and (order_id != self._own_order or order.state == "expired"):
            raise GoneError(f"it {order.state}: {order.reason}")
        if order.state in _ENDED:
            raise InvalidInputError(f"the batch order {order_id} {order.state}: {order.reason}")
        if out_of_patience:
            raise UnavailableError(
                f"no shard of the batch order {order_id} came for {self._patience_s:.0f} s "
                f"({order.ready} of {order.shards} are ready): does a batch processor run?"
            )

    def _read(self, shard: ShardDescriptor) -> Part:
        data = self._shared(shard.sha256)
        if data is None or hashlib.sha256(data).hexdigest() != shard.sha256:
            data = self._sensory.shard(shard.sha256)
        came = hashlib.sha256(data).hexdigest()
        if came != shard.sha256:
            raise InvalidInputError(f"expected shard {shard.sha256}, got bytes with hash {came}")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Part(arrays["images"], arrays["labels"])


def _one_ahead(items: Iterator[Item], idle: Callable[[], None], idle_s: float) -> Iterator[Item]:
    """Yield items, and have the next one come meanwhile: one is fetched while one is written.

    `idle` is called where it has not come for `idle_s`.
    """
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while True:
            if not wait([coming], idle_s).done:
                idle()
            if (came := coming.result()) is end:
                return
            coming = pool.submit(next, items, end)
            yield cast(Item, came)


def _key(data: TrainingData) -> str:
    shape = "x".join(map(str, data.shape))
    return f"{data.snapshot[:32]}-{shape}-{data.resize}"


def _open(place: Path) -> Examples:
    statistics = json.loads((place / STATISTICS).read_text(encoding="ascii"))
    parts = [
        Part(
            np.load(place / f"{split}-images.npy", mmap_mode="r"),
            np.load(place / f"{split}-labels.npy", mmap_mode="r"),
        )
        for split in _SPLITS
    ]
    return Examples(parts[0], parts[1], tuple(statistics["mean"]), tuple(statistics["deviation"]))
