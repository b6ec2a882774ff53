"""The files of networks, for trainers that share no blobs with this service."""

import hashlib
from typing import IO

from commons.errors import InvalidInputError, NotFoundError, TooLargeError
from commons.network_card import network_blob
from commons.ports import Blobs

_PART_BYTES = 1 << 20


class NetworkFiles:
    """Files by their names `{sha256}.{npz|keras|onnx}`: created once, never changed.

    Args:
        blobs: Where they are kept.
        most_bytes: A larger file is refused.
    """

    def __init__(self, blobs: Blobs, most_bytes: int) -> None:
        self._blobs = blobs
        self._most_bytes = most_bytes

    def has(self, name: str) -> bool:
        """Say whether a file is here."""
        return self._blobs.exists(network_blob(name))

    def get(self, name: str) -> bytes:
        """Return a file.

        Raises:
            NotFoundError: It is not here (kind `unknown-file`).
        """
        try:
            return self._blobs.get(network_blob(name))
        except NotFoundError as error:
            raise NotFoundError(f"there is no file {name}", kind="unknown-file") from error

    def add(self, name: str, stream: IO[bytes]) -> bool:
        """Store a file durably and say whether it is new; safe to repeat.

        Raises:
            InvalidInputError: The bytes do not have the hash in the name (kind `wrong-hash`).
            TooLargeError: There are more bytes than `most_bytes`.
            StorageFullError: No space is left. After each of these nothing was stored.
        """
        data = self._read(name, stream)
        found = hashlib.sha256(data).hexdigest()
        if not name.startswith(found):
            raise InvalidInputError(
                f"expected the bytes of {name}, got {len(data):,} bytes with the hash {found}",
                kind="wrong-hash",
            )
        return self._blobs.put(network_blob(name), data)

    def _read(self, name: str, stream: IO[bytes]) -> bytes:
        data = bytearray()
        while part := stream.read(_PART_BYTES):
            data += part
            if len(data) > self._most_bytes:
                raise TooLargeError(
                    f"expected at most {self._most_bytes:,} bytes for {name}, got more"
                )
        return bytes(data)
