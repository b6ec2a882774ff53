"""Packs: many images in one blob, because a shared file system serves a small file in 1-3 ms.

A pack is the images' bytes one after the other; the tables say which image is where. An image
is packed once, at the first freeze that holds it, and every later snapshot reads it from there.
A pack saves time and is never needed: what is not in one is read from its own blob.
"""

import hashlib
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from commons.errors import DiceboxError, NotFoundError, UnavailableError
from commons.ports import Blobs, Clock
from sensory_service.blob_names import image_blob, pack_blob
from sensory_service.ports import ErasedMeanwhileError, PackCatalog, PackPlace, SnapshotCatalog

PACK_BYTES = 64 * 1024 * 1024
_ROWS = 4096
# From fewer images of one pack, reading all of it would take longer than the small files.
_WORTH_A_PACK = 32
# A snapshot that could not be packed is no hurry, and the others are not to wait for it.
_AGAIN_S = 3600.0
_LOG = logging.getLogger(__name__)


class PackMaker:
    """Writes the packs of snapshots.

    Args:
        catalog: Which image is in which pack.
        snapshots: What is frozen.
        blobs: Images come from it, packs go to it.
        clock: Time of the end.
        threads: Small files read at once.
        at_once: A larger snapshot is left to the batch processors, who pack while they are idle.
        pack_bytes: A pack ends with the image that reaches this size.
    """

    def __init__(
        self,
        catalog: PackCatalog,
        snapshots: SnapshotCatalog,
        blobs: Blobs,
        clock: Clock,
        *,
        threads: int = 16,
        at_once: int = 100_000,
        pack_bytes: int = PACK_BYTES,
    ) -> None:
        self._catalog = catalog
        self._snapshots = snapshots
        self._blobs = blobs
        self._clock = clock
        self._threads = threads
        self._at_once = at_once
        self._pack_bytes = pack_bytes
        self._put_off: dict[str, float] = {}  # snapshot to when it is tried again

    def pack_new(self, snapshot: str) -> None:
        """Pack a snapshot that was just frozen, unless it is so large that others do it later.

        It never fails: what is not packed is read from the images' own blobs.
        """
        if sum(self._snapshots.get(snapshot).counts.values()) > self._at_once:
            return
        try:
            self.pack(snapshot)
        except DiceboxError:
            _LOG.warning("snapshot %s is not packed yet", snapshot, exc_info=True)

    def pack_next(self) -> bool:
        """Pack one snapshot that is not packed yet, and say whether there was one.

        Raises:
            UnavailableError: It could not be packed; the others come before it is tried again.
            StorageFullError: No space is left for it; likewise.
        """
        now = self._clock.monotonic()
        self._put_off = {one: again for one, again in self._put_off.items() if again > now}
        snapshot = self._catalog.unpacked(besides=self._put_off)
        if snapshot is None:
            return False
        self._put_off[snapshot] = now + _AGAIN_S
        self.pack(snapshot)
        del self._put_off[snapshot]
        return True

    def pack(self, snapshot: str) -> None:
        """Write the images of a snapshot that are in no pack to new packs; what is gone stays out.

        Raises:
            UnavailableError: The tables or the blobs cannot be reached: of many images that were
                read at once, none could be. Where others could, such an image stays out too.
            StorageFullError: No space is left.
        """
        images, sizes = bytearray(), list[tuple[str, int]]()
        for sha256, data in self._loose(snapshot):
            images += data
            sizes.append((sha256, len(data)))
            if len(images) >= self._pack_bytes:
                self._write(bytes(images), sizes)
                images, sizes = bytearray(), []
        if sizes:
            self._write(bytes(images), sizes)
        self._catalog.finish(snapshot, self._clock.now())

    def _loose(self, snapshot: str) -> Iterator[tuple[str, bytes]]:
        """Yield the images that are in no pack, in the order of the manifest."""
        count = sum(self._snapshots.get(snapshot).counts.values())
        with ThreadPoolExecutor(self._threads) as pool:
            for first in range(0, count, _ROWS):
                rows = [row.image for row in self._snapshots.rows(snapshot, first, _ROWS)]
                packed = self._catalog.places(rows)
                loose = [image for image in rows if image not in packed]
                for start in range(0, len(loose), _ROWS // 16):
                    some = loose[start : start + _ROWS // 16]
                    read = list(pool.map(self._read, some))
                    _check_some_read(read)
                    for image, data in zip(some, read, strict=True):
                        if isinstance(data, bytes):
                            yield image, data

    def _read(self, image: str) -> bytes | NotFoundError | UnavailableError:
        try:
            return self._blobs.get(image_blob(image))
        except (NotFoundError, UnavailableError) as error:
            return error  # whoever needs it says so

    def _write(self, data: bytes, sizes: Sequence[tuple[str, int]]) -> None:
        while sizes:
            pack = hashlib.sha256(data).hexdigest()
            places = places_in(pack, sizes)
            self._blobs.put(pack_blob(pack), data)
            try:
                self._catalog.record(places)
            except ErasedMeanwhileError as error:
                self._blobs.delete(pack_blob(pack))
                kept = [place for place in places if place.image not in error.erased]
                data = b"".join(data[place.start : place.start + place.size] for place in kept)
                sizes = [(place.image, place.size) for place in kept]
                continue
            # An erasure of something else takes packs away that nobody has recorded yet.
            if not self._blobs.exists(pack_blob(pack)):
                self._blobs.put(pack_blob(pack), data)
            return


def _check_some_read(read: Sequence[bytes | NotFoundError | UnavailableError]) -> None:
    """Raise the first fault if there is nothing else: then it is not one of single images."""
    faults = [one for one in read if isinstance(one, UnavailableError)]
    if faults:
        _LOG.warning("%d of %d images cannot be packed: %s", len(faults), len(read), faults[0])
        if len(faults) == len(read):
            raise faults[0]


def places_in(pack: str, sizes: Sequence[tuple[str, int]]) -> list[PackPlace]:
    """Return where the images (hash, bytes) of a pack are."""
    places, start = [], 0
    for image, size in sizes:
        places.append(PackPlace(image, pack, start, size))
        start += size
    return places


class ImageReader:
    """Reads images from packs where that is faster, and from their own blobs otherwise.

    Args:
        catalog: Which image is in which pack.
        blobs: Where both are.
        kept: Packs kept in memory.
        threads: Small files read at once.
    """

    def __init__(
        self, catalog: PackCatalog, blobs: Blobs, *, kept: int = 2, threads: int = 8
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._kept = kept
        self._threads = threads
        self._packs: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, images: Sequence[str]) -> list[bytes]:
        """Return the bytes of images, in their order.

        Raises:
            NotFoundError: The bytes of one are gone; the message names it.
        """
        places = self._catalog.places(images)
        wanted = Counter(place.pack for place in places.values())
        found: dict[str, bytes] = {}
        for pack in sorted(wanted):
            if wanted[pack] >= _WORTH_A_PACK and (data := self._pack(pack)) is not None:
                inside = [place for place in places.values() if place.pack == pack]
                found |= _cut(data, inside)
        loose = [image for image in dict.fromkeys(images) if image not in found]
        if loose:
            with ThreadPoolExecutor(min(self._threads, len(loose))) as pool:
                found |= zip(loose, pool.map(self._read, loose), strict=True)
        return [found[image] for image in images]

    def _pack(self, pack: str) -> bytes | None:
        with self._lock:
            data = self._packs.get(pack)
            if data is not None:
                self._packs.move_to_end(pack)
                return data
        try:
            data = self._blobs.get(pack_blob(pack))
        except NotFoundError:
            return None
        with self._lock:
            self._packs[pack] = data
            while len(self._packs) > self._kept:
                self._packs.popitem(last=False)
        return data

    def _read(self, image: str) -> bytes:
        try:
            return self._blobs.get(image_blob(image))
        except NotFoundError as error:
            raise NotFoundError(f"the bytes of image {image} are gone") from error


def _cut(data: bytes, places: Sequence[PackPlace]) -> dict[str, bytes]:
    """Return the images of a pack that are what their hash says; damage is read elsewhere."""
    parts = {place.image: data[place.start : place.start + place.size] for place in places}
    return {
        image: part for image, part in parts.items() if hashlib.sha256(part).hexdigest() == image
    }
