"""The one decoder: what people see is what a network gets."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from commons.adapters import decode, decode_tiles
from commons.adapters.decode import MAX_PIXELS, decode_image, inspect_image
from commons.errors import InvalidInputError, TooLargeError
from tests.builders import bomb_png, encoded, jpeg_bytes, picture, pixels, png_bytes, truncated

POLICIES = ("fit", "pad", "crop")
LOSSLESS = ("PNG", "BMP")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_every_allowed_format_is_recognised_by_its_bytes(kind: str) -> None:
    facts = inspect_image(encoded(picture((5, 7, 3)), kind))
    assert (facts.format, facts.height, facts.width, facts.channels) == (kind, 5, 7, 3)


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "ICO", "PDF"])
def test_a_format_that_is_not_allowed_is_refused(kind: str) -> None:
    with pytest.raises(InvalidInputError, match="expected an image as PNG"):
        inspect_image(encoded(picture((16, 16, 3)), kind))


@pytest.mark.parametrize("shape", [(6, 9, 1), (6, 9, 3)])
@pytest.mark.parametrize("kind", LOSSLESS)
def test_pixels_of_the_right_size_come_back_exactly(shape: tuple[int, int, int], kind: str) -> None:
    decoded = decode_image(encoded(picture(shape, 3), kind), shape, "fit")
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, pixels(shape, 3))


@pytest.mark.parametrize("resize", POLICIES)
@pytest.mark.parametrize("source", [(5, 9, 1), (9, 5, 3), (1, 1, 3), (40, 3, 4)])
@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8, 3), (3, 12, 3)])
def test_any_picture_becomes_any_shape(
    source: tuple[int, int, int], shape: tuple[int, int, int], resize: str
) -> None:
    decoded = decode_image(png_bytes(source), shape, resize)
    assert decoded.shape == shape
    assert decoded.dtype == np.uint8


def test_fit_stretches_pad_adds_black_and_crop_cuts() -> None:
    wide = Image.new("L", (20, 10), 255)
    wide.paste(0, (0, 0, 5, 10))  # black on the left quarter
    data = encoded(wide)
    fit, pad, crop = (decode_image(data, (10, 10, 1), policy)[:, :, 0] for policy in POLICIES)
    assert (fit[5, 0], fit[5, 9]) == (0, 255)
    assert pad[:2].max() == 0
    assert pad[5, 9] == 255
    assert crop.min() == 255


def test_a_rotated_photograph_is_upright() -> None:
    turned = inspect_image(jpeg_bytes((4, 8, 3), orientation=6))
    assert (turned.height, turned.width) == (8, 4)
    photograph = Image.new("L", (16, 16), 0)
    photograph.paste(255, (0, 0, 16, 8))  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    decoded = decode_image(encoded(photograph, "JPEG", quality=95, exif=exif), (16, 16, 1), "fit")
    assert decoded[2, 8, 0] < 10
    assert decoded[13, 8, 0] > 245


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert decode_image(encoded(clear), (4, 4, 3), "fit").min() == 255
    assert decode_image(encoded(half), (4, 4, 3), "fit").max() == 127
    assert decode_image(encoded(Image.new("LA", (4, 4), (0, 0))), (4, 4, 1), "fit").min() == 255


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_a_transparent_colour_of_a_palette_is_white(transparency: int | bytes) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.putpixel((3, 3), 1)
    data = encoded(image, "PNG", transparency=transparency)
    decoded = decode_image(data, (4, 4, 3), "fit")
    assert decoded[0, 0].tolist() == [255, 255, 255]
    assert decoded[3, 3].tolist() == [0, 200, 0]


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257 * 100, 65535]], np.uint16)
    data = encoded(Image.fromarray(values))
    assert inspect_image(data).channels == 1
    assert decode_image(data, (1, 3, 1), "fit").ravel().tolist() == [0, 100, 255]


def test_one_bit_is_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    data = encoded(image)
    assert inspect_image(data).channels == 1
    assert decode_image(data, (1, 2, 1), "fit").ravel().tolist() == [0, 255]


def test_printing_colours_become_screen_colours() -> None:
    data = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    assert inspect_image(data).channels == 3
    red, green, blue = decode_image(data, (8, 8, 3), "fit")[4, 4].tolist()
    assert red > 200
    assert max(green, blue) < 60


def test_grey_and_colour_turn_into_each_other() -> None:
    grey = decode_image(png_bytes((4, 4, 1)), (4, 4, 3), "fit")
    np.testing.assert_array_equal(grey[:, :, 0], grey[:, :, 2])
    green = encoded(Image.new("RGB", (2, 2), (0, 255, 0)))
    assert decode_image(green, (2, 2, 1), "fit")[0, 0, 0] == 150  # ITU-R 601 luma


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"<svg xmlns='x'/>", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        inspect_image(data)
    assert caught.value.kind == "not-an-image"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_truncated_image_is_refused(kind: str, share: float) -> None:
    data = truncated(encoded(picture((64, 64, 3)), kind), share)
    for read in (inspect_image, lambda data: decode_image(data, (8, 8, 1), "fit")):
        with pytest.raises(InvalidInputError) as caught:
            read(data)
        assert caught.value.kind == "not-an-image"


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (10_000, 10_000), (1, 64_000_001)])
def test_a_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(TooLargeError, match=f"{MAX_PIXELS:,} pixels") as caught:
        inspect_image(bomb_png(width, height))
    assert caught.value.kind == "too-many-pixels"


def test_a_small_picture_made_like_the_bomb_is_no_bomb() -> None:
    assert inspect_image(bomb_png(300, 200)).width == 300


def odd_pictures() -> Iterator[tuple[str, bytes]]:
    """Yield pictures of every mode that a file can have, with what is said about each."""
    rng = np.random.default_rng(7)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = Image.fromarray(rng.integers(0, 256, (61, 47, 4), np.uint8)).convert(mode)
        yield mode, encoded(image)
    image = Image.fromarray(rng.integers(0, 256, (61, 47, 3), np.uint8))
    clear = {"L": 90, "RGB": image.getpixel((3, 4)), "P": bytes(range(0, 256, 3))}
    for mode, colour in clear.items():
        yield f"{mode} with a clear colour", encoded(image.convert(mode), transparency=colour)
    yield "16 bits", encoded(Image.fromarray(rng.integers(0, 65536, (61, 47), np.uint16)))
    yield "CMYK", encoded(image.convert("CMYK"), "JPEG")
    yield "progressive", encoded(image, "JPEG", progressive=True)
    yield "WEBP", encoded(image, "WEBP")
    yield "GIF", encoded(image.convert("P"), "GIF", transparency=5)
    yield "BMP", encoded(image, "BMP")
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"orientation {orientation}", encoded(image, exif=exif)


@pytest.mark.parametrize("name", [name for name, _ in odd_pictures()])
def test_tile_by_tile_the_pixels_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dict(odd_pictures())[name]
    shapes = [(8, 8, 1), (8, 8, 3), (90, 20, 3), (20, 90, 3), (61, 47, 3), (61, 9, 1), (9, 47, 1)]
    asked = [(shape, resize) for shape in shapes for resize in POLICIES]
    whole = [decode_image(data, *one) for one in asked]
    monkeypatch.setattr(decode, "_LARGE_PIXELS", 0)
    monkeypatch.setattr(decode_tiles, "TILE_SIDE", 20)
    for one, at_once in zip(asked, whole, strict=True):
        np.testing.assert_array_equal(decode_image(data, *one), at_once)


def test_the_tiles_of_a_damaged_picture_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_LARGE_PIXELS", 0)
    with pytest.raises(InvalidInputError) as caught:
        decode_image(truncated(png_bytes((64, 64, 3)), 0.7), (8, 8, 1), "fit")
    assert caught.value.kind == "not-an-image"
