"""Plain JPEG files, decoded in a fraction of the time that a general decoder takes to begin.

Both decoders are libjpeg-turbo, told to take no short cuts, and give the same pixels: a test holds
them to it. What could turn or recolour a picture (EXIF, Adobe's marks), or is more than one
picture, is left to the one decoder, and so is damage.
"""

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import simplejpeg

_START = b"\xff\xd8"
_SEGMENT = struct.Struct(">BBH")
_FRAME = struct.Struct(">BHHB")
# Frames with Huffman codes, of eight bits: sequential and progressive.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_JFIF, _SCAN = 0xE0, 0xDA
# Tables, the distance of restarts, and words that nobody draws.
_HARMLESS = frozenset({0xC4, 0xDB, 0xDD, 0xFE, _JFIF})
_MOST_SEGMENTS = 64
_GREY, _COLOUR = 1, 3
_BITS = 8
# Of a mark, its size, and what is read of a frame.
_LONGEST_HEAD = _SEGMENT.size + _FRAME.size


def decode_plain_jpeg(data: bytes, most_pixels: int) -> npt.NDArray[np.uint8] | None:
    """Return the pixels of a plain JPEG as (height, width, 1 or 3); None for anything else."""
    channels = _plain_channels(data, most_pixels)
    if channels is None:
        return None
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            colorspace="GRAY" if channels == _GREY else "RGB",
            fastdct=False,
            fastupsample=False,
        )
    except ValueError:
        return None
    return pixels


def _plain_channels(data: bytes, most_pixels: int) -> int | None:
    """Return how many channels a plain file has, by its marks up to the first scan."""
    channels, is_jfif = None, False
    for mark, content in _segments(data):
        if mark == _SCAN:
            # Without a mark of its own, decoders guess what three channels mean.
            return channels if is_jfif or channels == _GREY else None
        if mark in _FRAMES:
            bits, height, width, channels = _FRAME.unpack_from(data, content)
            is_plain = bits == _BITS and channels in (_GREY, _COLOUR)
            if not is_plain or not 0 < height * width <= most_pixels:
                return None
        elif mark not in _HARMLESS:
            return None
        is_jfif = is_jfif or (mark == _JFIF and data[content : content + 5] == b"JFIF\0")
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marks and where their contents begin, for as long as they are whole."""
    if not data.startswith(_START):
        return
    at = len(_START)
    for _ in range(_MOST_SEGMENTS):
        if at + _LONGEST_HEAD > len(data):
            return
        fill, mark, size = _SEGMENT.unpack_from(data, at)
        if fill != 0xFF:  # noqa: PLR2004 - what every mark begins with
            return
        yield mark, at + _SEGMENT.size
        at += 2 + size
