"""Which names a blob may have, whatever holds it."""

import re

from commons.errors import InvalidInputError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def checked_blob_name(name: str) -> str:
    """Return the name of a blob.

    Raises:
        InvalidInputError: It is none of those that `commons.ports.Blobs` allows.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(f"expected a blob name like images/ab/cd/abcd, got {name!r}")
    return name
