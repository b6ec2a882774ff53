"""Large JPEG files are decoded smaller than they are, and hardly anybody can tell."""

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from benchmarks.serving_network import picture
from commons.adapters.decode import decode_image, decode_stored
from commons.adapters.jpeg_scale import REDUCTIONS, reduction

POLICIES = ("fit", "pad", "crop")
SIDES = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


@given(SIDES, SIDES, st.sampled_from(POLICIES))
def test_no_pixel_is_made_up(size, wanted, resize):
    by = reduction(size, wanted, resize)
    left = [-(-side // by) for side in size]
    enough = [had >= 1.5 * wants for had, wants in zip(left, wanted, strict=True)]
    if by > 1:
        assert any(enough) if resize == "pad" else all(enough)
        assert min(size) >= 16


@pytest.mark.parametrize(
    ("size", "wanted", "resize", "by"),
    [
        ((224, 224), (64, 64), "fit", 2),
        ((256, 256), (64, 64), "fit", 2),
        ((384, 384), (64, 64), "fit", 4),
        ((4000, 3000), (28, 28), "fit", 8),
        ((127, 300), (64, 64), "fit", 1),
        ((127, 300), (64, 64), "pad", 2),
        ((127, 300), (64, 64), "crop", 1),
        ((15, 900), (1, 1), "fit", 1),
        ((64, 64), (64, 64), "fit", 1),
    ],
)
def test_it_is_the_largest_part_that_is_enough(size, wanted, resize, by):
    assert reduction(size, wanted, resize) == by


def photograph(side: int) -> bytes:
    """Return a picture with the spectrum of most photographs."""
    rng = np.random.default_rng(side)
    waves = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    waves[0, 0] = 1
    drawn = rng.normal(size=(3, side, side // 2 + 1)) + 1j * rng.normal(
        size=(3, side, side // 2 + 1)
    )
    pixels = np.fft.irfft2(drawn / waves, (side, side))
    pixels = 128 + 50 * (pixels - pixels.mean()) / pixels.std()
    file = io.BytesIO()
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.mark.parametrize("side", [128, 224, 300, 500, 1000])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", POLICIES)
def test_the_pixels_are_nearly_those_of_the_whole_picture(side, channels, resize):
    data = photograph(side)
    shape = (61, 47, channels)
    found = decode_image(data, shape, resize).astype(int)
    whole = Image.open(io.BytesIO(data)).convert("L" if channels == 1 else "RGB")
    bilinear = Image.Resampling.BILINEAR
    expected = {
        "fit": lambda: whole.resize((47, 61), bilinear),
        "pad": lambda: ImageOps.pad(whole, (47, 61), bilinear),
        "crop": lambda: ImageOps.fit(whole, (47, 61), bilinear),
    }[resize]()
    expected = np.asarray(expected).reshape(shape)
    for read in (decode_image, decode_stored):
        # A network that saw the whole picture goes on seeing it.
        np.testing.assert_array_equal(read(data, shape, resize, "pillow-1"), expected)
    difference = np.abs(found - expected)
    assert difference.mean() < 3
    assert np.quantile(difference, 0.99) < 16
    assert found.std() > 20


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", POLICIES)
def test_a_turned_picture_is_as_the_upright_one(orientation, resize):
    image = Image.open(io.BytesIO(picture(240, "JPEG", colour=True))).crop((0, 0, 240, 96))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(file))
    lossless = io.BytesIO()
    upright.save(lossless, "PNG")
    shape = (40, 30, 3)
    found, expected = (
        decode_image(one.getvalue(), shape, resize).astype(int) for one in (file, lossless)
    )
    assert np.abs(found - expected).mean() < 2.5


@pytest.mark.parametrize("read", [decode_image, decode_stored])
def test_a_photograph_takes_the_memory_of_the_part(read):
    data = picture(1024, "JPEG", colour=True)
    read(data, (64, 64, 3), "fit")
    tracemalloc.start()
    pixels = read(data, (64, 64, 3), "fit")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pixels.shape == (64, 64, 3)
    assert peak < 1024 * 1024 * 3 // REDUCTIONS[0]
