"""The demo's data: 1,797 scanned digits that scikit-learn carries, as PNG files."""

import gzip
import io
import tarfile

import numpy as np
from PIL import Image

from commons.errors import UnavailableError

_LEVELS = 16  # the scans have 17 grey levels, 0..16


def digit_files() -> dict[str, list[tuple[str, bytes]]]:
    """Return PNG files (name, bytes), 8x8 grey, by category.

    Source:
        Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI repository;
        its test part, as `sklearn.datasets.load_digits` ships it.

    Raises:
        UnavailableError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UnavailableError(
            "the demo's digits come with scikit-learn: pip install 'dicebox[demo]'"
        ) from error
    digits = load_digits()
    files: dict[str, list[tuple[str, bytes]]] = {}
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        image = Image.fromarray((pixels * (255 / _LEVELS)).round().astype(np.uint8))
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        files.setdefault(str(label), []).append((f"digit-{number:04}.png", buffer.getvalue()))
    return files


def digit_archive() -> bytes:
    """Return the digits as the page offers them: a tar.gz, a folder per category.

    The same bytes each time; `web_client/samples/digits.tar.gz` holds them.
    """
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w") as archive:
        for category, files in sorted(digit_files().items()):
            for name, data in files:
                entry = tarfile.TarInfo(f"{category}/{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(spool.getvalue(), mtime=0)
