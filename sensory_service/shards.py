"""Makes shards: images of a snapshot decoded to one shape, stacked, stored by their hash."""

import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import chain

import numpy as np

from commons.adapters.decode import Pixels, decode_image
from commons.adapters.plain_png import decode_plain_png
from commons.blob_names import shard_blob
from commons.errors import InvalidInputError, NotFoundError, TooLargeError
from commons.ports import Blobs
from sensory_service.packs import ImageReader
from sensory_service.ports import ManifestLine, ShardCatalog, SnapshotCatalog
from sensory_service.shard_layout import ShardPlan
from sensory_service.shard_messages import ShardOutcome

_AT_ONCE = 256  # images decoded between two looks at whether to stop
_PIECE = 32  # of these, for one thread


class ShardFaultError(Exception):
    """This shard can never be made; the message says why."""


class StoppedError(Exception):
    """The processor is asked to end; the shard is not made."""


class ShardMaker:
    """Turns the task of a shard into its bytes.

    The same plan gives the same bytes whoever makes it and however often, so tasks may come
    twice and processors may die at any point.

    Args:
        catalog: What the shards are.
        snapshots: The rows of a shard.
        reader: The images' bytes come from it.
        blobs: Shards go to it.
        threads: Images decoded at once.
    """

    def __init__(
        self,
        catalog: ShardCatalog,
        snapshots: SnapshotCatalog,
        reader: ImageReader,
        blobs: Blobs,
        threads: int = 2,
    ) -> None:
        self._catalog = catalog
        self._snapshots = snapshots
        self._reader = reader
        self._blobs = blobs
        self._threads = threads

    def make(self, shard: int, stopped: Callable[[], bool]) -> ShardOutcome | None:
        """Make a shard, or nothing if it is recorded already or nobody waits for it.

        Raises:
            StoppedError: `stopped` said so before it was done.
            StorageFullError: No space is left for it.
            UnavailableError: Tables or blobs cannot be reached.
        """
        task = self._catalog.task(shard)
        if task is None or task.sha256 is not None or not task.wanted:
            return None
        try:
            data = self._shard_bytes(task.plan, stopped)
        except ShardFaultError as error:
            return ShardOutcome(shard=shard, reason=str(error))
        sha256 = hashlib.sha256(data).hexdigest()
        self._blobs.put(shard_blob(sha256), data)
        return ShardOutcome(shard=shard, sha256=sha256)

    def _shard_bytes(self, plan: ShardPlan, stopped: Callable[[], bool]) -> bytes:
        rows = self._snapshots.rows(plan.snapshot, plan.first, plan.examples)
        images = np.empty((len(rows), *plan.shape), np.uint8)
        with ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(rows), _AT_ONCE):
                if stopped():
                    raise StoppedError
                part = rows[start : start + _AT_ONCE]
                _decode(pool, part, self._read(part), plan, images[start : start + len(part)])
        return _packed(images, rows)

    def _read(self, rows: Sequence[ManifestLine]) -> list[bytes]:
        try:
            return self._reader.read([row.image for row in rows])
        except NotFoundError as error:
            raise ShardFaultError(str(error)) from error


def _decode(
    pool: Executor,
    rows: Sequence[ManifestLine],
    encoded: Sequence[bytes],
    plan: ShardPlan,
    images: Pixels,
) -> None:
    """Write the pixels of all rows to `images`."""
    others = []
    for at, data in enumerate(encoded):
        # Sooner done than handed to another thread.
        pixels = decode_plain_png(data, plan.shape)
        if pixels is None:
            others.append(at)
        else:
            images[at] = pixels
    # In pieces: to hand over one small image takes as long as to decode it.
    pieces = [others[at : at + _PIECE] for at in range(0, len(others), _PIECE)]
    decoded = pool.map(lambda piece: [_pixels(rows[at], encoded[at], plan) for at in piece], pieces)
    for at, pixels in zip(others, chain.from_iterable(decoded), strict=True):
        images[at] = pixels


def _pixels(row: ManifestLine, data: bytes, plan: ShardPlan) -> Pixels:
    try:
        return decode_image(data, plan.shape, plan.resize)
    except (InvalidInputError, TooLargeError) as error:
        raise ShardFaultError(f"image {row.image} cannot be decoded: {error}") from error


def _packed(images: Pixels, rows: Sequence[ManifestLine]) -> bytes:
    labels = np.fromiter((row.category for row in rows), np.int64, len(rows))
    file = io.BytesIO()
    # Uncompressed: pixels hardly shrink, and a reader maps them in at memory speed. The dates
    # in the archive are constant, so equal content has equal bytes.
    np.savez(file, images=images, labels=labels)
    return file.getvalue()
