"""Small batches: some images of a snapshot, decoded, in one call."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from commons.adapters.decode import Pixels, decode_stored
from commons.errors import ConflictError, GoneError, InvalidInputError, NotFoundError, TooLargeError
from commons.messages import SmallBatch, SmallBatchRequest
from sensory_service.noise import add_noise
from sensory_service.packs import ImageReader
from sensory_service.ports import ManifestLine, SnapshotCatalog
from sensory_service.shard_layout import span_of

MOST_BYTES = 64 * 1024 * 1024
_LONGEST_SIDE = 1024
_SPARSE = 50  # a row alone takes as long as so many in a row
MEDIA_TYPE = "application/vnd.dicebox.batch+npz"


@dataclass(frozen=True)
class Batch:
    """Pictures (n, height, width, channels) with their category indexes (n,) and hashes."""

    images: Pixels
    labels: npt.NDArray[np.int64]
    hashes: list[str]

    def packed(self) -> bytes:
        """Return it as an `.npz` without pickle, with the arrays `images`, `labels`, `hashes`."""
        file = io.BytesIO()
        np.savez(
            file, images=self.images, labels=self.labels, hashes=np.array(self.hashes, dtype="S64")
        )
        return file.getvalue()

    def as_message(self) -> SmallBatch:
        """Return it as a message, the pixels in base64."""
        number, height, width, channels = self.images.shape
        return SmallBatch(
            shape=(number, height, width, channels),
            images=base64.b64encode(self.images.tobytes()).decode(),
            labels=self.labels.tolist(),
            hashes=self.hashes,
        )


class SmallBatches:
    """Draws batches from snapshots.

    Args:
        snapshots: What can be drawn from.
        reader: The images' bytes.
        threads: Images decoded at once.
    """

    def __init__(self, snapshots: SnapshotCatalog, reader: ImageReader, threads: int = 2) -> None:
        self._snapshots = snapshots
        self._reader = reader
        self._threads = threads

    def draw(self, snapshot: str, request: SmallBatchRequest) -> Batch:
        """Return images drawn at random, none of them twice: the same seed gives the same.

        A split with fewer images than asked for is returned whole.

        Raises:
            NotFoundError: No such snapshot.
            ConflictError: The split has no images.
            TooLargeError: The pixels would be more than `MOST_BYTES`.
            GoneError: The bytes of an image are gone.
        """
        frozen = self._snapshots.get(snapshot)
        shape = request.shape or _at_most(frozen.median_shape)
        size = request.size * int(np.prod(shape))
        if size > MOST_BYTES:
            raise TooLargeError(f"expected at most {MOST_BYTES:,} bytes of pixels, got {size:,}")
        span = span_of(frozen.counts, request.split)
        if not span:
            raise ConflictError(f"the snapshot has no {request.split} images", kind="empty-splits")
        rng = np.random.default_rng(request.seed)
        chosen = rng.choice(len(span), min(request.size, len(span)), replace=False)
        rows = self._rows(frozen.id, span, [int(position) for position in chosen])
        try:
            data = self._reader.read([row.image for row in rows])
            with ThreadPoolExecutor(self._threads) as pool:
                decoded = list(
                    pool.map(lambda one: decode_stored(one, shape, request.resize), data)
                )
        except (NotFoundError, InvalidInputError) as error:
            raise GoneError(str(error), kind="bytes-gone") from error
        if request.noise > 0.0:
            decoded = [add_noise(rng, pixels, request.noise) for pixels in decoded]
        labels = np.array([row.category for row in rows], np.int64)
        return Batch(np.stack(decoded), labels, [row.image for row in rows])

    def _rows(self, snapshot: str, span: range, chosen: list[int]) -> list[ManifestLine]:
        if len(chosen) * _SPARSE >= len(span):
            rows = self._snapshots.rows(snapshot, span.start, len(span))
            return [rows[position] for position in chosen]
        return [self._snapshots.rows(snapshot, span[one], 1)[0] for one in chosen]


def _at_most(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    height, width, channels = shape
    return min(height, _LONGEST_SIDE), min(width, _LONGEST_SIDE), channels
