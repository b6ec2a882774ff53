"""Pictures for tests, made from a seed: real encodings, small, and the hostile ones."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

Shape = tuple[int, int, int]


def pixels(shape: Shape = (8, 8, 1), seed: int = 0) -> np.ndarray:
    """Return random uint8 pixels (height, width, channels); channels 1, 3 or 4."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def picture(shape: Shape = (8, 8, 1), seed: int = 0) -> Image.Image:
    """Return random pixels as a Pillow image of mode L, RGB or RGBA."""
    values = pixels(shape, seed)
    return Image.fromarray(values[:, :, 0] if shape[2] == 1 else values)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return a Pillow image as a file of some format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_bytes(shape: Shape = (8, 8, 1), seed: int = 0) -> bytes:
    """Return a PNG of random pixels; another seed gives another image."""
    return encoded(picture(shape, seed))


def jpeg_bytes(shape: Shape = (8, 8, 3), seed: int = 0, orientation: int | None = None) -> bytes:
    """Return a JPEG of random pixels, with an EXIF orientation (1 to 8) when one is given."""
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    return encoded(picture(shape, seed), "JPEG", quality=95, exif=exif)


def png_files(count: int, shape: Shape = (8, 8, 1), seed: int = 0) -> list[tuple[str, bytes]]:
    """Return that many different PNGs with file names, as `SensoryClient.upload` takes them."""
    first = seed * 100_000
    return [(f"{first + i}.png", png_bytes(shape, first + i)) for i in range(count)]


def truncated(data: bytes, share: float = 0.5) -> bytes:
    """Return the first part of a file."""
    return data[: int(len(data) * share)]


def bomb_png(width: int = 30_000, height: int = 30_000, orientation: int | None = None) -> bytes:
    """Return a valid black PNG that is small as a file and huge as pixels; quick to make.

    With an orientation all of it is transparent and turned.
    """
    left = height * (width * (4 if orientation else 1) + 1)  # one filter byte a row
    # The Adler checksum of n zeros is known without making them.
    checksum = struct.pack(">I", (left % 65521) << 16 | 1)
    chunk = 1 << 20
    stream = b"\x78\x01" + _zeros(chunk) * (left // chunk) + _zeros(left % chunk, last=True)
    header = struct.pack(">IIBBBBB", width, height, 8, 6 if orientation else 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", stream + checksum), (b"IEND", b"")]
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
        parts.insert(1, (b"eXIf", exif.tobytes().removeprefix(b"Exif\x00\x00")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _zeros(count: int, last: bool = False) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    # A full flush ends a block at a byte and forgets the past, so blocks may be repeated.
    end = zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH
    return deflate.compress(bytes(count)) + deflate.flush(end)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
