"""The marks of erasures, as an upload of the same bytes sees them.

An erasure marks its image before it touches any bytes, and an upload looks at the marks after
its bytes are durable, both under the lock of the image: so either the erasure sees the upload's
membership, or the upload sees the erasure's mark and puts its bytes again. A pack that is
recorded looks at them in the same way.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from commons.errors import UnavailableError
from sensory_service.adapters.tables import IMAGE, PURGED
from sensory_service.ports import ErasedMeanwhileError

_AT_ONCE = 1000  # values of one IN list


def lock_image(connection: Connection, image: str) -> bool:
    """Keep uploads of an image waiting until this transaction ends; say whether there is one."""
    query = select(IMAGE.c.sha256).where(IMAGE.c.sha256 == image).with_for_update()
    return connection.execute(query).first() is not None


def forget_erasures(
    connection: Connection, images: Sequence[str], erased: Mapping[str, float]
) -> None:
    """Take the word back that these images are gone, whose bytes were put after `erased`.

    Raises:
        ErasedMeanwhileError: Some were erased at other times: their bytes may be gone again.
        UnavailableError: One is being erased.
    """
    for start in range(0, len(images), _AT_ONCE):
        marks = _marks(connection, images[start : start + _AT_ONCE])
        if not marks:
            continue
        if under_way := [image for image, done in marks.items() if done is None]:
            raise UnavailableError(
                f"image {under_way[0]} is being erased: send it again when that is done, or "
                "purge it again if that was interrupted",
                kind="being-erased",
            )
        if any(erased.get(image) != done for image, done in marks.items()):
            raise ErasedMeanwhileError(marks)
        connection.execute(PURGED.delete().where(PURGED.c.image.in_(list(marks))))


def check_none_erased(connection: Connection, images: Sequence[str]) -> None:
    """Have erasures of these images wait until this transaction ends.

    Raises:
        ErasedMeanwhileError: Some are erased, or are being erased.
    """
    marks: dict[str, Any] = {}
    for start in range(0, len(images), _AT_ONCE):
        marks |= _marks(connection, images[start : start + _AT_ONCE])
    if marks:
        raise ErasedMeanwhileError(marks)


def _marks(connection: Connection, images: Sequence[str]) -> dict[str, Any]:
    """Return when images were erased, null while they are; no other mark comes meanwhile."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        locked = select(IMAGE.c.sha256).where(IMAGE.c.sha256.in_(images))
        connection.execute(locked.with_for_update(read=True, key_share=True))
    query = select(PURGED.c.image, PURGED.c.done).where(PURGED.c.image.in_(images))
    return {row.image: row.done for row in connection.execute(query)}
