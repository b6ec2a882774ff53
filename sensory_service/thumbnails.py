"""Small pictures for pages, made on demand and kept while there is room."""

import threading
from collections import OrderedDict

from commons.adapters.decode import encode_thumbnail
from commons.errors import NotFoundError
from commons.ports import Blobs
from sensory_service.blob_names import image_blob
from sensory_service.ports import ImageCatalog

THUMBNAIL_TYPE = "image/webp"


class Thumbnails:
    """Thumbnails by image and size; the latest `room_bytes` of them are remembered.

    They are not stored: making one costs less than reading a small file from a shared folder,
    browsers keep what they saw, and an erased image leaves nothing behind.
    """

    def __init__(self, catalog: ImageCatalog, blobs: Blobs, room_bytes: int = 1 << 25) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._room_bytes = room_bytes
        self._made: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, sha256: str, size: int) -> bytes:
        """Return a picture of at most `size` pixels a side, upright, as `THUMBNAIL_TYPE`.

        Raises:
            NotFoundError: No dataset holds the image.
        """
        self._catalog.find(sha256)
        if not self._blobs.exists(image_blob(sha256)):
            raise NotFoundError(f"the bytes of image {sha256} are gone", kind="unknown-image")
        with self._lock:
            made = self._made.get((sha256, size))
        if made is None:
            made = encode_thumbnail(self._blobs.get(image_blob(sha256)), size)
            self._keep((sha256, size), made)
        return made

    def _keep(self, key: tuple[str, int], made: bytes) -> None:
        with self._lock:
            if key not in self._made:
                self._made[key] = made
                self._room_bytes -= len(made)
            while self._room_bytes < 0 and self._made:
                _, oldest = self._made.popitem(last=False)
                self._room_bytes += len(oldest)
