"""The sample that the page offers is the demo's digits."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from dicebox.digits import digit_archive

SAMPLE = Path(__file__).parents[2] / "web_client" / "samples" / "digits.tar.gz"


def _pixels(archive: bytes) -> dict[str, np.ndarray]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        return {
            entry.name: np.asarray(Image.open(io.BytesIO(tar.extractfile(entry).read())))
            for entry in tar
        }


def test_the_sample_of_the_page_holds_the_digits_of_the_demo() -> None:
    kept, made = _pixels(SAMPLE.read_bytes()), _pixels(digit_archive())
    assert list(kept) == list(made)
    assert len(kept) == 1797
    assert {name.split("/")[0] for name in kept} == set("0123456789")
    assert all(np.array_equal(kept[name], made[name]) for name in kept)
