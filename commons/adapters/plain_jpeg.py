"""Plain JPEG files, decoded in a fraction of the time that a general decoder takes to begin.

Both decoders are libjpeg-turbo, told to take no short cuts, and give the same pixels at every
scale that `jpeg_scale` chooses: a test holds them to it. What could turn or recolour a picture
(EXIF, Adobe's marks), or is more than one picture, is left to the one decoder, and so is damage.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg

from commons.adapters.jpeg_scale import reduction
from commons.messages import ResizePolicy

_START = b"\xff\xd8"
_SEGMENT = struct.Struct(">BBH")
_FRAME = struct.Struct(">BHHB")
# Frames with Huffman codes, of eight bits: sequential and progressive.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_PROGRESSIVE = 0xC2
_JFIF, _SCAN = 0xE0, 0xDA
# Tables, the distance of restarts, and words that nobody draws.
_HARMLESS = frozenset({0xC4, 0xDB, 0xDD, 0xFE, _JFIF})
_MOST_SEGMENTS = 64
_GREY, _COLOUR = 1, 3
_BITS = 8
# Of a mark, its size, and what is read of a frame.
_LONGEST_HEAD = _SEGMENT.size + _FRAME.size


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a file says of its picture before the first scan."""

    height: int
    width: int
    channels: int
    is_progressive: bool


def decode_plain_jpeg(
    data: bytes, wanted: tuple[tuple[int, int], ResizePolicy] | None, most_pixels: int
) -> npt.NDArray[np.uint8] | None:
    """Return the pixels of a plain JPEG as (height, width, 1 or 3); None for anything else.

    Args:
        data: The file.
        wanted: Height and width that the pixels will be resized to, and how: by these they may be
            fewer than the file's. None: all of them.
        most_pixels: Not to be held at once.
    """
    frame = _plain_frame(data)
    if frame is None:
        return None
    by = reduction((frame.height, frame.width), *wanted) if wanted else 1
    height, width = -(-frame.height // by), -(-frame.width // by)
    # All of a progressive picture is held until its last scan has come.
    held = frame.height * frame.width if frame.is_progressive else height * width
    if not 0 < held <= most_pixels:
        return None
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            colorspace="GRAY" if frame.channels == _GREY else "RGB",
            fastdct=False,
            fastupsample=False,
            min_height=height,
            min_width=width,
        )
    except ValueError:
        return None
    return pixels


def _plain_frame(data: bytes) -> _Frame | None:
    """Return the frame of a plain file, by its marks up to the first scan."""
    frame, is_jfif = None, False
    for mark, content in _segments(data):
        if mark == _SCAN:
            # Without a mark of its own, decoders guess what three channels mean.
            return frame if frame and (is_jfif or frame.channels == _GREY) else None
        if mark in _FRAMES:
            bits, height, width, channels = _FRAME.unpack_from(data, content)
            if bits != _BITS or channels not in (_GREY, _COLOUR):
                return None
            frame = _Frame(height, width, channels, mark == _PROGRESSIVE)
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
