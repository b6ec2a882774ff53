"""The one decoder: bytes of a picture in, uint8 pixels out, the same everywhere.

The batch processor, the small batch and the classification service use it, so a network sees
in service exactly what it saw in training. `DECODER` is on every card; it changes whenever
the pixels could.
"""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from commons.adapters.decode_tiles import ORIENTATION, SWAPPED, Tiles, opaque, resized
from commons.adapters.jpeg_scale import reduction
from commons.adapters.memory_budget import MemoryBudget
from commons.adapters.plain_jpeg import decode_plain_jpeg
from commons.adapters.plain_png import decode_plain_png
from commons.errors import InvalidInputError, TooLargeError
from commons.messages import ResizePolicy

DECODER = "pillow-2"
# Networks that were trained with this one go on seeing what they saw: it reduced no JPEG.
_WHOLE = "pillow-1"
DECODERS = (_WHOLE, DECODER)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
}
MAX_PIXELS = 64_000_000
# What strangers' pictures may take at once, in all threads; decoding has its own tables beside.
_BUDGET = MemoryBudget(224 * 1024 * 1024)
# A larger one is decoded tile by tile, which takes little memory and some longer.
_LARGE_PIXELS = 1 << 20
_MODES = {1: "L", 3: "RGB"}
_GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"}
# What Pillow raises for damaged files, format by format.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError)

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageFacts:
    """What a picture is: size in pixels as people see it (EXIF applied), 1 or 3 channels."""

    format: str
    height: int
    width: int
    channels: int


def inspect_image(data: bytes) -> ImageFacts:
    """Return what a picture is, after decoding every pixel of it once.

    Raises:
        InvalidInputError: Not one of `FORMATS`, truncated or damaged (kind `not-an-image`).
        TooLargeError: More than `MAX_PIXELS`, or than memory holds; nothing was decoded.
    """
    image = _open(data)
    kind = str(image.format)
    with _BUDGET.taken(_checked_bytes(image.format, image.size, _bytes_per_pixel(image))):
        upright = _upright(image)
        channels = 1 if upright.mode in _GREY_MODES else 3
        facts = ImageFacts(kind, upright.height, upright.width, channels)
        # The pixels go before the next one may begin.
        upright.close()
        image.close()
    return facts


def decode_image(
    data: bytes, shape: tuple[int, int, int], resize: ResizePolicy, decoder: str = DECODER
) -> Pixels:
    """Return the picture as uint8 (height, width, channels), upright, over white, resized.

    `fit` stretches it to the shape, `pad` keeps its proportions within black borders, `crop`
    keeps them by cutting the middle out. A JPEG that becomes much smaller is decoded at a half, a
    quarter or an eighth of its sides first.

    Args:
        data: The file.
        shape: Of the pixels.
        resize: How they come to it.
        decoder: One of `DECODERS`.

    Raises:
        InvalidInputError: Not one of `FORMATS`, truncated or damaged (kind `not-an-image`).
        TooLargeError: More than `MAX_PIXELS`, or than memory holds; nothing was decoded.
    """
    height, width, channels = shape
    mode = _MODES[channels]
    image = _open(data)
    whole = image.size
    if decoder != _WHOLE:
        _reduce(image, shape, resize)
    # All of a progressive picture is held until its last scan has come.
    held = whole if _is_progressive(image) else image.size
    if held[0] * held[1] <= _LARGE_PIXELS:
        small = opaque(_upright(image), mode)
        if small.size != (width, height):
            small = resized(small, (width, height), resize)
        return np.asarray(small, dtype=np.uint8).reshape(shape)
    needed = _checked_bytes(image.format, held, _loaded_bytes_per_pixel(image))
    with _BUDGET.taken(min(needed + image.width * image.height, _BUDGET.total)):
        pixels = np.asarray(resized(_tiles(image, mode), (width, height), resize), dtype=np.uint8)
        image.close()
    return pixels.reshape(shape)


def decode_stored(
    data: bytes, shape: tuple[int, int, int], resize: ResizePolicy, decoder: str = DECODER
) -> Pixels:
    """Return what `decode_image` does, sooner for most PNG and JPEG files.

    For plain PNG files that have the shape already, and for plain JPEG files. Damage that
    changes no pixel may go unnoticed.

    Raises:
        InvalidInputError: Not one of `FORMATS`, truncated or damaged (kind `not-an-image`).
        TooLargeError: More than `MAX_PIXELS`, or than memory holds; nothing was decoded.
    """
    pixels = decode_plain_png(data, shape)
    if pixels is not None:
        return pixels
    plain = decode_plain_jpeg(
        data, None if decoder == _WHOLE else (shape[:2], resize), _LARGE_PIXELS
    )
    if plain is None:
        return decode_image(data, shape, resize, decoder)
    return _fitted(plain, shape, resize)


def encode_thumbnail(data: bytes, size: int) -> bytes:
    """Return the picture as a WebP of at most `size` pixels a side, upright, over white.

    Raises:
        InvalidInputError: Not one of `FORMATS`, truncated or damaged (kind `not-an-image`).
        TooLargeError: More than `MAX_PIXELS`, or than memory holds; nothing was decoded.
    """
    image = _open(data)
    with _BUDGET.taken(_checked_bytes(image.format, image.size, _bytes_per_pixel(image))):
        return _thumbnail(image, size)


def _thumbnail(image: Image.Image, size: int) -> bytes:
    # A JPEG decodes at an eighth, a quarter or a half of its size for a fraction of the time.
    image.draft(None, (2 * size, 2 * size))
    image = opaque(_upright(image), "RGB")
    image.thumbnail((size, size))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=80, method=2)
    return file.getvalue()


def _fitted(plain: Pixels, shape: tuple[int, int, int], resize: ResizePolicy) -> Pixels:
    """Return pixels that are upright and opaque in a shape, as `decode_image` does."""
    if plain.shape == shape:
        return plain
    height, width, channels = shape
    image = opaque(
        Image.fromarray(plain.squeeze(2) if plain.shape[2] == 1 else plain), _MODES[channels]
    )
    if image.size != (width, height):
        image = resized(image, (width, height), resize)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


def _open(data: bytes) -> Image.Image:
    if not data:
        raise InvalidInputError("expected an image, got 0 bytes", kind="not-an-image")
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InvalidInputError(
            f"expected an image as {', '.join(FORMATS)}, got {len(data)} bytes of something else",
            kind="not-an-image",
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # From its own limit on Pillow warns or raises by the header alone; ours is lower. The
        # warning is not silenced here: filters belong to the process, and threads decode.
        raise TooLargeError(
            f"expected at most {MAX_PIXELS:,} pixels, got far more", kind="too-many-pixels"
        ) from error
    except _DAMAGE as error:
        raise _damaged(error) from error
    if image.width * image.height > MAX_PIXELS:
        raise TooLargeError(
            f"expected at most {MAX_PIXELS:,} pixels, got {image.width} x {image.height}",
            kind="too-many-pixels",
        )
    return image


def _reduce(image: Image.Image, shape: tuple[int, int, int], resize: ResizePolicy) -> None:
    """Have a JPEG decoded at a part of its sides where that is enough."""
    if image.format not in ("JPEG", "MPO"):
        return
    size = image.height, image.width
    by = reduction(size[::-1] if _orientation(image) in SWAPPED else size, shape[:2], resize)
    if by > 1:
        image.draft(None, (image.width // by, image.height // by))


def _is_progressive(image: Image.Image) -> bool:
    return bool(image.info.get("progressive") or image.info.get("progression"))


def _orientation(image: Image.Image) -> int | None:
    """Return how a picture is turned; nothing where it cannot be told."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except (*_DAMAGE, TypeError):
        return None


def _checked_bytes(kind: str | None, size: tuple[int, int], per_pixel: int) -> int:
    """Return how much memory decoding takes, at most the whole budget."""
    most, pixels = _BUDGET.total // per_pixel, size[0] * size[1]
    if pixels > most:
        raise TooLargeError(
            f"expected at most {most:,} pixels of a {kind} like this, got {size[0]} x {size[1]}",
            kind="too-many-pixels",
        )
    return pixels * per_pixel


def _bytes_per_pixel(image: Image.Image) -> int:
    """Return the bytes a pixel takes at the peak, as measured: pixels, copies and conversions."""
    if image.has_transparency_data or image.mode.startswith("I"):
        return 20
    if image.format == "WEBP":
        return 16
    if _is_progressive(image):
        return 10
    if image.mode in ("1", "L"):
        return 3
    return 8 if _may_be_turned(image) else 4


def _loaded_bytes_per_pixel(image: Image.Image) -> int:
    """Return the bytes a pixel takes while it is decoded, as measured."""
    if image.format == "WEBP":
        return 16
    if _is_progressive(image):
        return 10
    return 3 if image.mode in ("1", "L", "P") else 4


def _may_be_turned(image: Image.Image) -> bool:
    """Say whether there may be a second copy, the upright one."""
    if image.format != "JPEG":
        return image.format == "PNG"  # which may say so after its pixels
    return _orientation(image) != 1


def _upright(image: Image.Image) -> Image.Image:
    try:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image
    except _DAMAGE as error:
        raise _damaged(error) from error


def _tiles(image: Image.Image, mode: str) -> Tiles:
    try:
        image.load()
        return Tiles(image, mode)
    except _DAMAGE as error:
        raise _damaged(error) from error


def _damaged(error: BaseException) -> InvalidInputError:
    return InvalidInputError(f"the image is damaged or cut off: {error}", kind="not-an-image")
