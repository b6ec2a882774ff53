"""How many pixels a picture has by its header, for a microsecond or two and without decoding."""

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PNG_SIZE = struct.Struct(">II")
_SEGMENT = struct.Struct(">BBH")
_JPEG_SIZE = struct.Struct(">xHH")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_MOST_SEGMENTS = 64


def said_pixels(data: bytes) -> int | None:
    """Return height times width as a PNG or JPEG says them itself; nothing where it is unclear."""
    try:
        if data.startswith(_PNG):
            width, height = _PNG_SIZE.unpack_from(data, 16)
            return int(width) * int(height)
        if data.startswith(_JPEG):
            return _jpeg_pixels(data)
    except struct.error:
        pass
    return None


def _jpeg_pixels(data: bytes) -> int | None:
    at = 2
    for _ in range(_MOST_SEGMENTS):
        fill, marker, size = _SEGMENT.unpack_from(data, at)
        if fill != 0xFF or marker == 0xFF or marker in _ALONE:  # noqa: PLR2004 - its first byte
            return None
        if marker in _FRAMES:
            height, width = _JPEG_SIZE.unpack_from(data, at + 4)
            return int(height) * int(width) or None
        at += 2 + size
    return None
