"""The fast way for plain PNG files: the pixels of the one decoder, or nothing."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from commons.adapters.decode import decode_image, decode_stored
from commons.adapters.plain_png import decode_plain_png
from commons.errors import InvalidInputError
from tests.builders import encoded, picture, png_bytes, truncated

Shape = tuple[int, int, int]


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def with_chunk(data: bytes, kind: bytes, content: bytes, *, last: bool = False) -> bytes:
    at = len(data) - 12 if last else 33
    return data[:at] + chunk(kind, content) + data[at:]


def filtered(shape: Shape, kind: int, level: int, seed: int) -> bytes:
    """Return a PNG whose rows all have one filter; its bytes are drawn, so its pixels are too."""
    height, width, channels = shape
    rows = np.random.default_rng(seed).integers(0, 256, (height, 1 + width * channels), np.uint8)
    rows[:, 0] = kind
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), level))
        + chunk(b"IEND", b"")
    )


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3])),
    st.integers(0, 4),
    st.integers(0, 9),
    st.integers(0, 1000),
)
def test_every_pixel_is_that_of_the_one_decoder(
    shape: Shape, kind: int, level: int, seed: int
) -> None:
    data = filtered(shape, kind, level, seed)
    for wanted in {shape, (*shape[:2], 3)}:
        fast = decode_plain_png(data, wanted)
        assert fast is not None
        assert fast.dtype == np.uint8
        np.testing.assert_array_equal(fast, decode_image(data, wanted, "fit"))


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (224, 224)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_pillow_writes_comes_back_equal(size: tuple[int, int], mode: str) -> None:
    image = picture((*size, 3), 5).convert(mode)
    shape = (*size, len(image.getbands()))
    for options in ({}, {"optimize": True}, {"dpi": (72, 72)}, {"compress_level": 0}):
        data = encoded(image, "PNG", **options)
        fast = decode_plain_png(data, shape)
        assert fast is not None
        np.testing.assert_array_equal(fast, decode_image(data, shape, "crop"))


ORIENTED = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture((6, 6, 3), 1), "PNG", exif=exif)


def described() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "something")
    return encoded(picture((6, 6, 3), 1), "PNG", pnginfo=text)


def deep() -> bytes:
    return encoded(Image.fromarray(np.arange(36, dtype=np.uint16).reshape(6, 6) * 1000), "PNG")


OTHERS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(picture((6, 6, 3)), "JPEG"),
    "alpha": lambda: png_bytes((6, 6, 4)),
    "palette": lambda: encoded(picture((6, 6, 3)).quantize(4), "PNG"),
    "one bit": lambda: encoded(picture((6, 6, 1)).convert("1"), "PNG"),
    "16 bits": deep,
    "turned": turned,
    "turned, said last": lambda: with_chunk(png_bytes((6, 6, 3)), b"eXIf", ORIENTED, last=True),
    "text": described,
    "transparent colour": lambda: with_chunk(png_bytes((6, 6, 1)), b"tRNS", b"\0\0"),
    "another size": lambda: png_bytes((6, 7, 3)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_left_to_the_one_decoder(name: str) -> None:
    data = OTHERS[name]()
    assert decode_plain_png(data, (6, 6, 3)) is None
    np.testing.assert_array_equal(
        decode_stored(data, (6, 6, 3), "fit"), decode_image(data, (6, 6, 3), "fit")
    )


def test_colours_become_grey_by_the_one_decoder() -> None:
    data = png_bytes((6, 6, 3))
    assert decode_plain_png(data, (6, 6, 1)) is None
    np.testing.assert_array_equal(
        decode_stored(data, (6, 6, 1), "fit"), decode_image(data, (6, 6, 1), "fit")
    )


def test_an_interlaced_picture_and_a_large_one_are_left_to_the_one_decoder() -> None:
    data = bytearray(png_bytes((6, 6, 3)))
    data[28] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    assert decode_plain_png(bytes(data), (6, 6, 3)) is None
    assert decode_plain_png(png_bytes((1025, 1024, 1)), (1025, 1024, 1)) is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_gives_the_pixels_of_the_one_decoder_or_nothing(data: st.DataObject) -> None:
    whole = bytearray(png_bytes((9, 8, 3)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    damaged = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    fast = decode_plain_png(damaged, (9, 8, 3))
    if fast is not None:
        np.testing.assert_array_equal(fast, decode_image(damaged, (9, 8, 3), "fit"))


@pytest.mark.parametrize("place", [29, 48])
def test_a_wrong_check_sum_is_left_to_the_one_decoder(place: int) -> None:
    data = bytearray(png_bytes((9, 8, 3)))
    data[place] ^= 1
    assert decode_plain_png(bytes(data), (9, 8, 3)) is None
    with pytest.raises(InvalidInputError):
        decode_stored(bytes(data), (9, 8, 3), "fit")


def test_a_stored_file_that_is_damaged_is_refused_as_ever() -> None:
    for damaged in (b"", b"\x89PNG\r\n\x1a\n", truncated(png_bytes((30, 30, 3)))):
        with pytest.raises(InvalidInputError):
            decode_stored(damaged, (30, 30, 3), "fit")


def test_many_harmless_chunks_are_not_followed_for_ever() -> None:
    data = png_bytes((6, 6, 1))
    for _ in range(100):
        data = with_chunk(data, b"pHYs", bytes(9))
    assert decode_plain_png(data, (6, 6, 1)) is None
