"""Records classifications beside the hot path: sampled, bounded, in batches on one thread."""

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.util import Finalize
from typing import NamedTuple

import numpy as np

from classification_service.history_ports import Floats, HistoryTables, Record
from commons.errors import UnavailableError
from commons.messages import Category
from commons.ports import Blobs, Clock

IMAGES = "classified/"
# Event, a word about it, how many.
Count = Callable[[str, str, int], None]

_KEPT_ANSWERS = 5
_AT_ONCE = 500
_RETRY_S = 1.0
_LOG = logging.getLogger(__name__)


def classified_blob(sha256: str) -> str:
    """Return the name of the blob that holds an image of the history."""
    return f"{IMAGES}{sha256[:2]}/{sha256[2:4]}/{sha256}"


def drop_images(blobs: Blobs, images: Sequence[str]) -> None:
    """Delete the images of the history with these hashes."""
    for image in images:
        blobs.delete(classified_blob(image))


def image_of(blob: str) -> str:
    """Return the sha256 of the image in a blob."""
    return blob.rpartition("/")[2]


def new_id(now: float) -> str:
    """Return an id that nobody can guess and that says when it was made (`recorded_at`)."""
    return f"{int(now * 1000):012x}{secrets.token_hex(8)}"


def recorded_at(classification: str) -> float:
    """Return when the id of a classification was made, in unix seconds."""
    return int(classification[:12], 16) / 1000


class _Offer(NamedTuple):
    id: str
    data: bytes
    image: str
    dataset: str
    network: str
    categories: Sequence[Category]
    probabilities: Floats
    seconds: float
    at: float


class BatchRecorder:
    """`classification_service.history_ports.Recorder` with a thread of its own.

    The thread begins with the first offer that is taken, so that a process may be forked before.
    It writes what waits at most every `pause_s` seconds, and goes on waiting while the tables
    cannot be reached. What there is no room for, in the queue or on the disk, is not recorded.

    Args:
        tables: Where the rows go.
        blobs: Where the images go, before their rows.
        clock: When a classification was made.
        share: How many of all are taken, 0 to 1.
        draw: Returns a random number from 0 up to below 1, from any thread.
        count: Told of `recording` what was `kept`, `dropped` (the queue was full) or `lost`.
        most: Classifications that may wait.
        most_bytes: Bytes of their images together.
        pause_s: Least time between two writes.
    """

    def __init__(
        self,
        tables: HistoryTables,
        blobs: Blobs,
        clock: Clock,
        share: float,
        draw: Callable[[], float],
        count: Count,
        *,
        most: int = 2000,
        most_bytes: int = 32 * 1024 * 1024,
        pause_s: float = 0.1,
    ) -> None:
        self._tables = tables
        self._blobs = blobs
        self._clock = clock
        self._share = share
        self._draw = draw
        self._count = count
        self._most = most
        self._most_bytes = most_bytes
        self._pause_s = pause_s
        self._offers: deque[_Offer] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._came = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(
        self,
        *,
        data: bytes,
        image: str,
        dataset: str,
        network: str,
        categories: Sequence[Category],
        probabilities: Floats,
        seconds: float,
    ) -> str | None:
        """Return the id under which a classification will be recorded, or None if it will not."""
        share = self._share
        if share <= 0.0 or (share < 1.0 and self._draw() >= share):
            return None
        at = self._clock.now()
        offer = _Offer(
            new_id(at), data, image, dataset, network, categories, probabilities, seconds, at
        )
        with self._lock:
            is_full = len(self._offers) >= self._most or self._bytes + len(data) > self._most_bytes
            if not is_full and not self._closing.is_set():
                self._offers.append(offer)
                self._bytes += len(data)
                if self._thread is None:
                    self._thread = self._begin()
                self._came.set()
                return offer.id
        self._count("recording", "dropped", 1)
        return None

    def close(self, timeout_s: float = 5.0) -> None:
        """Record what was taken, for at most `timeout_s` seconds; later offers get None."""
        self._closing.set()
        self._came.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _begin(self) -> threading.Thread:
        # However a process ends that is not killed: a command's own, or a child of a server's.
        Finalize(None, self.close, exitpriority=1)
        thread = threading.Thread(target=self._run, name="history-recorder", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while not self._closing.is_set():
            self._came.wait()
            self._came.clear()
            while batch := self._taken():
                self._write(batch)
                self._closing.wait(self._pause_s)
        while batch := self._taken():
            self._write(batch)

    def _taken(self) -> list[_Offer]:
        with self._lock:
            batch = [self._offers.popleft() for _ in range(min(_AT_ONCE, len(self._offers)))]
            self._bytes -= sum(len(offer.data) for offer in batch)
        return batch

    def _write(self, batch: list[_Offer]) -> None:
        """Write a batch, however long the storage is away; the queue is what is bounded."""
        batch = self._sound(batch)
        told = False
        while batch:
            try:
                self._store(batch)
            except UnavailableError as error:
                if not told:
                    _LOG.warning("classifications wait to be recorded: %s", error)
                told = True
                if self._closing.wait(_RETRY_S):
                    self._count("recording", "lost", len(batch))
                    return
            except Exception:
                # The outermost loop of its thread: what comes next may have more luck.
                _LOG.exception("%d classifications could not be recorded", len(batch))
                self._count("recording", "lost", len(batch))
                return
            else:
                self._count("recording", "kept", len(batch))
                return

    def _sound(self, batch: list[_Offer]) -> list[_Offer]:
        """Return those of a batch that the tables can take: all are written, or none is."""
        sound = [offer for offer in batch if np.isfinite(offer.probabilities).all()]
        lost = len(batch) - len(sound)
        if lost:
            _LOG.error("%d classifications without probabilities cannot be recorded", lost)
            self._count("recording", "lost", lost)
        return sound

    def _store(self, batch: list[_Offer]) -> None:
        images = {offer.image: offer.data for offer in batch}
        named = [(classified_blob(image), data) for image, data in images.items()]
        self._blobs.put_many(named)
        self._tables.add([_record(offer) for offer in batch])
        # Until now whoever removed another row of such an image took it along.
        gone = [image for image in images if not self._blobs.exists(classified_blob(image))]
        for image in gone:
            self._blobs.put(classified_blob(image), images[image])
        if gone:
            # Or its own row, and then it is not to be here again.
            self._tables.drop_unrecorded(gone, partial(drop_images, self._blobs))


def _record(offer: _Offer) -> Record:
    probabilities = offer.probabilities.astype(np.float64)
    best = np.argsort(-probabilities, kind="stable")[:_KEPT_ANSWERS]
    positive = probabilities[probabilities > 0.0]
    return Record(
        id=offer.id,
        image=offer.image,
        dataset=offer.dataset,
        network=offer.network,
        answers=[(offer.categories[i], float(probabilities[i])) for i in best],
        margin=float(probabilities[best[0]] - probabilities[best[1]]) if len(best) > 1 else 1.0,
        # From the data alone it may come out as -0.0.
        entropy=max(0.0, float(-(positive * np.log(positive)).sum())),
        seconds=offer.seconds,
        at=offer.at,
    )
