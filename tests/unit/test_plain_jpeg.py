"""Plain JPEG files come out of the fast decoder with the very pixels of the slow one."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from commons.adapters.decode import DECODERS, decode_image, decode_stored
from commons.adapters.plain_jpeg import decode_plain_jpeg
from commons.errors import InvalidInputError

MOST = 1 << 20
# Of pictures: height, width, mode, and how Pillow writes them.
PICTURES = st.fixed_dictionaries(
    {
        "size": st.tuples(st.integers(1, 90), st.integers(1, 90)),
        "mode": st.sampled_from(["L", "RGB"]),
        "quality": st.integers(1, 100),
        "subsampling": st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]),
        "progressive": st.booleans(),
        "optimize": st.booleans(),
        "restart_marker_blocks": st.sampled_from([0, 3]),
        "seed": st.integers(0, 2**32 - 1),
        "smooth": st.booleans(),
    }
)


def jpeg(
    size: tuple[int, int], mode: str, seed: int = 0, *, smooth: bool = False, **options
) -> bytes:
    rng = np.random.default_rng(seed)
    drawn = (min(5, size[0]), min(5, size[1])) if smooth else size
    pixels = rng.integers(0, 256, (drawn[1], drawn[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


@settings(max_examples=300, deadline=None)
@given(
    PICTURES,
    st.sampled_from([None, (28, 28), (7, 40)]),
    st.sampled_from([1, 3]),
    st.sampled_from(["fit", "pad", "crop"]),
    st.sampled_from(DECODERS),
)
def test_the_pixels_are_those_of_the_one_decoder(picture, size, channels, resize, decoder):
    data = jpeg(**picture)
    assert decode_plain_jpeg(data, None, MOST) is not None
    height, width = size or (picture["size"][1], picture["size"][0])
    shape = (height, width, channels)
    found = decode_stored(data, shape, resize, decoder)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, decode_image(data, shape, resize, decoder))


@pytest.mark.parametrize("size", [(224, 224), (500, 375), (1000, 1000)])
@pytest.mark.parametrize("smooth", [False, True])
def test_larger_ones_too(size, smooth):
    data = jpeg(size, "RGB", 3, smooth=smooth, quality=85)
    for shape in ((size[1], size[0], 3), (64, 64, 3), (64, 64, 1)):
        np.testing.assert_array_equal(
            decode_stored(data, shape, "fit"), decode_image(data, shape, "fit")
        )


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xc0",
        b"\x89PNG\r\n\x1a\n",
        jpeg((20, 30), "CMYK"),
        jpeg((20, 30), "RGB", exif=exif(6)),
        jpeg((20, 30), "RGB", keep_rgb=True),
        jpeg((20, 30), "RGB", icc_profile=b"some profile"),
    ],
    ids=["nothing", "start", "cut", "png", "cmyk", "turned", "rgb", "profile"],
)
def test_what_is_not_plain_is_left_to_the_one_decoder(data):
    assert decode_plain_jpeg(data, None, MOST) is None


def test_what_has_too_many_pixels_is_left_too():
    assert decode_plain_jpeg(jpeg((20, 30), "L"), None, 599) is None
    assert decode_plain_jpeg(jpeg((20, 30), "L"), None, 600) is not None


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([jpeg((40, 30), "RGB", progressive=p, quality=90) for p in (False, True)]),
    st.data(),
)
def test_damage_is_refused_or_the_picture_is_the_same(data, drawn):
    kind = drawn.draw(st.sampled_from(["cut", "changed"]))
    at = drawn.draw(st.integers(2, len(data) - 1))
    if kind == "cut":
        damaged = data[:at]
    else:
        damaged = data[:at] + bytes([drawn.draw(st.integers(0, 255))]) + data[at + 1 :]
    shape = (30, 40, 3)
    try:
        expected = decode_image(damaged, shape, "fit")
    except InvalidInputError:
        expected = None
    try:
        found = decode_stored(damaged, shape, "fit")
    except InvalidInputError:
        found = None
    if expected is not None:
        np.testing.assert_array_equal(found, expected)
    elif kind == "cut":
        assert found is None
