"""The size of a picture by its header is the size it has, or nothing is said."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from commons.adapters.picture_size import said_pixels


def encoded(form: str, size: tuple[int, int], **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"exif": b"Exif\0\0" + b"x" * 3000, "comment": b"\xff\xc0 is no frame"}),
    ],
)
def test_a_header_says_the_size(form, options):
    assert said_pixels(encoded(form, (37, 21), **options)) == 37 * 21


@pytest.mark.parametrize("form", ["WEBP", "GIF", "BMP"])
def test_nothing_is_said_of_others(form):
    assert said_pixels(encoded(form, (37, 21))) is None


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_any_bytes_are_survived(data, start):
    said = said_pixels(start + data)
    assert said is None or said >= 0
