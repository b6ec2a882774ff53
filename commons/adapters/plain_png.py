"""Plain PNG files of one size, decoded several times as fast as a general decoder does it.

PNG loses nothing, so that whoever decodes a plain one gets the same pixels: 8 bits grey or RGB,
not interlaced, and nothing beside them that could turn, recolour or clear a pixel. Everything
else is left to the one decoder.
"""

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pyspng

_HEADER = struct.Struct(">8sI4sIIBBBBB")
_CHUNK = struct.Struct(">I4s")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
_CHANNELS = {_GREY: 1, _RGB: 3}
_FIRST_CHUNK = 33  # behind the header and its check sum
_AROUND = 12  # bytes of a chunk beside its content
# Size in the world, time and colour space: no decoder here reads a pixel differently for them.
_HARMLESS = frozenset({b"IDAT", b"pHYs", b"tIME", b"gAMA", b"cHRM", b"sRGB"})
_MOST_CHUNKS = 64
# It keeps the interpreter to itself: a large picture would hold all other threads up.
_MOST_PIXELS = 1 << 20


def decode_plain_png(data: bytes, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8] | None:
    """Return the pixels of a plain PNG that has this height, width and 1 or 3 channels already.

    Grey becomes RGB by repetition; anything else, damage too, is `None`, and not judged here.
    """
    if not _is_plain(data, shape):
        return None
    try:
        pixels: npt.NDArray[np.uint8] = pyspng.load(data)
    except (RuntimeError, ValueError):
        return None
    if pixels.size == shape[0] * shape[1] * shape[2]:
        return pixels.reshape(shape)
    return np.repeat(pixels.reshape(*shape[:2], 1), shape[2], axis=2)


def _is_plain(data: bytes, shape: tuple[int, int, int]) -> bool:
    if len(data) < _FIRST_CHUNK:
        return False
    signature, size, kind, width, height, bits, colour, packing, filters, interlaced = (
        _HEADER.unpack_from(data)
    )
    return bool(
        (signature, size, kind) == (_SIGNATURE, 13, b"IHDR")
        and (height, width) == shape[:2]
        and height * width <= _MOST_PIXELS
        and (bits, packing, filters, interlaced) == (8, 0, 0, 0)
        and _CHANNELS.get(colour, shape[2] + 1) <= shape[2]
        and _has_only_pixels(data)
    )


def _has_only_pixels(data: bytes) -> bool:
    """Say whether all chunks up to the last one are whole, and of those that change nothing."""
    if not _is_whole(data, len(_SIGNATURE), 13):
        return False
    at = _FIRST_CHUNK
    for _ in range(_MOST_CHUNKS):
        if at + _AROUND > len(data):
            return False
        size, kind = _CHUNK.unpack_from(data, at)
        if kind == b"IEND":
            return True
        if kind not in _HARMLESS or not _is_whole(data, at, size):
            return False
        at += size + _AROUND
    return False


def _is_whole(data: bytes, at: int, size: int) -> bool:
    """Say whether the check sum of a chunk is right: libspng would not look at it."""
    end = at + _AROUND + size
    content = memoryview(data)[at + 4 : end - 4]
    return end <= len(data) and zlib.crc32(content).to_bytes(4, "big") == data[end - 4 : end]
