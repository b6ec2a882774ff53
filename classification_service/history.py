"""What was recorded: listed, looked at, and taken away on request."""

from functools import partial

from classification_service.history_ports import HistoryFilter, HistoryTables
from classification_service.recording import classified_blob, drop_images, recorded_at
from commons.adapters.decode import encode_thumbnail
from commons.errors import NotFoundError
from commons.history_messages import (
    ForgottenImage,
    HistoryOrder,
    HistoryPage,
    RecordedClassification,
)
from commons.ports import Blobs, Clock

# What was answered just now is in the tables a moment later.
_YOUNG_S = 5.0
_MEDIA_TYPES = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"RIFF", "image/webp"),
)


class History:
    """The use cases of recorded classifications.

    Args:
        tables: Where they are.
        blobs: Where their images are.
        clock: Says whether an unknown classification may still be on its way to the tables.
    """

    def __init__(self, tables: HistoryTables, blobs: Blobs, clock: Clock) -> None:
        self._tables = tables
        self._blobs = blobs
        self._clock = clock
        self._drop = partial(drop_images, blobs)

    def page(
        self, which: HistoryFilter, order: HistoryOrder, cursor: str | None, limit: int
    ) -> HistoryPage:
        """Return a page of the history.

        Raises:
            InvalidInputError: The cursor is none of this order.
        """
        return self._tables.page(which, order, cursor, limit)

    def get(self, classification: str) -> RecordedClassification:
        """Return one classification.

        Raises:
            NotFoundError: None is recorded under this id (kind `unknown-classification`), or not
                yet (`not-recorded-yet`): it was answered a moment ago.
        """
        try:
            return self._tables.get(classification)
        except NotFoundError as error:
            raise unknown(classification, self._clock.now()) from error

    def image(self, classification: str) -> tuple[bytes, str, str]:
        """Return the image of a classification as it came, its media type, and its sha256.

        Raises:
            NotFoundError: As `get` says, or the bytes are gone (kind `unknown-image`).
        """
        sha256 = self.get(classification).image
        try:
            data = self._blobs.get(classified_blob(sha256))
        except NotFoundError as error:
            raise NotFoundError(
                f"the bytes of image {sha256} are gone", kind="unknown-image"
            ) from error
        return data, _media_type(data), sha256

    def thumbnail(self, classification: str, size: int) -> tuple[bytes, str]:
        """Return a WebP of at most `size` pixels a side, and the sha256 of the image.

        Raises:
            NotFoundError: As `image` says.
        """
        data, _, sha256 = self.image(classification)
        return encode_thumbnail(data, size), sha256

    def remove(self, classification: str) -> None:
        """Remove a classification for good: with its corrections, and its image if none needs it.

        A label that a correction gave stays with the sensory service.

        Raises:
            NotFoundError: As `get` says.
        """
        if not self._tables.remove(drop=self._drop, id=classification):
            raise unknown(classification, self._clock.now())

    def forget_image(self, image: str) -> ForgottenImage:
        """Remove every classification of an image and its bytes; also where there are none."""
        count = self._tables.remove(drop=self._drop, image=image)
        # That of a recorder that was killed before it added a row.
        self._tables.drop_unrecorded([image], self._drop)
        return ForgottenImage(image=image, classifications=count)


def unknown(classification: str, now: float) -> NotFoundError:
    """Return the error of an id that is not recorded, or not yet."""
    if abs(now - recorded_at(classification)) < _YOUNG_S:
        return NotFoundError(
            f"classification {classification} is not recorded yet: ask again in a moment",
            kind="not-recorded-yet",
        )
    return NotFoundError(
        f"there is no classification {classification}", kind="unknown-classification"
    )


def _media_type(data: bytes) -> str:
    """Return the type by the first bytes: only what decoded was ever recorded."""
    found = (kind for start, kind in _MEDIA_TYPES if data.startswith(start))
    return next(found, "application/octet-stream")
