"""A corpus of hostile files: each looks like work without end, or like what it is not."""

import io
import struct
import tarfile
import zipfile
import zlib
from functools import cache

from PIL import Image, PngImagePlugin

from tests.archive_builders import link, tar_bomb, tar_bytes, zip_bytes
from tests.builders import bomb_png, encoded, jpeg_bytes, picture, png_bytes, truncated

SCRIPT = b"<html><script>alert(1)</script></html>"


def refused_images() -> dict[str, tuple[bytes, int]]:
    """Return what is no image to keep, with the status that says so."""
    big = picture((64, 64, 3))
    cut = {
        f"truncated.{kind.lower()}": (truncated(encoded(big, kind)), 400)
        for kind in ("PNG", "JPEG", "WEBP", "BMP")
    }
    return cut | {
        "empty.png": (b"", 400),
        "text.png": (b"hello", 400),
        "script.jpg": (SCRIPT, 400),
        "picture.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", 400),
        "scan.tiff": (encoded(big, "TIFF"), 400),
        "archive.png": (zip_bytes([("a.png", png_bytes())]), 400),
        "bomb.png": (bomb_png(), 413),
        "thin.png": (bomb_png(1, 200_000_000), 413),
        "header.jpg": (jpeg_header(65500, 65500), 413),
        "header.bmp": (bmp_header(100_000, -100_000), 413),
        "header.gif": (gif_header(65535, 65535), 413),
        "few-pixels.png": (short_png(7000, 7000), 400),
        "text-bomb.png": (text_bomb(), 400),
        "large.webp": (encoded(Image.new("RGB", (4000, 4000)), "WEBP", method=0), 413),
        "clear.png": (encoded(Image.new("RGBA", (4000, 3500)), "PNG"), 413),
        "colours.png": (encoded(Image.new("RGB", (6000, 5000)), "PNG"), 413),
    }


def kept_images() -> dict[str, tuple[bytes, str]]:
    """Return what decodes in spite of its name or its tail, with the type it is served as."""
    archive = zip_bytes([("evil.html", SCRIPT)])
    return {
        "photo.png": (jpeg_bytes(seed=3), "image/jpeg"),
        "page.html": (png_bytes(seed=4), "image/png"),
        "script.jpg": (jpeg_bytes(seed=5) + SCRIPT, "image/jpeg"),
        "archive.png": (png_bytes(seed=6) + archive, "image/png"),
        "script.gif": (encoded(picture(), "GIF") + b"/*" + SCRIPT + b"*/", "image/gif"),
        "comment.png": (commented_png(), "image/png"),
        "many-frames.gif": (frames(), "image/gif"),
        "large.png": (bomb_png(8000, 5000), "image/png"),
        "large.webp": (encoded(Image.new("RGB", (4000, 3500)), "WEBP", method=0), "image/webp"),
        "clear.png": (encoded(Image.new("RGBA", (3500, 3300)), "PNG"), "image/png"),
        "progressive.jpg": (
            encoded(Image.new("RGB", (5000, 4500)), "JPEG", progressive=True, subsampling=0),
            "image/jpeg",
        ),
        "turned.jpg": (jpeg_bytes((4500, 5000, 3), orientation=6), "image/jpeg"),
    }


@cache
def hostile_archives() -> dict[str, bytes]:
    """Return archives that lead out, unpack to far too much or hold no end of names."""
    image = png_bytes()
    return {
        "paths.tar.gz": tar_bytes([("../evil.png", image), ("/etc/evil.png", image)]),
        "links.tar": tar_bytes([("cat/a.png", image)], more=[link("cat/b.png", "/etc/passwd")]),
        "bomb.tar.gz": tar_bomb(300 << 20),
        "bomb.zip": zip_bytes([(f"cat/{n}.png", bytes(20 << 20)) for n in range(6)]),
        "nested.zip": nested(8),
        "directory.zip": directory(30_000),
        "names.tar.gz": long_names(120),
        "bombs.zip": zip_bytes([(f"cat/{n}.png", bomb_png()) for n in range(3)]),
        "large.zip": zip_bytes(
            [(f"cat/{n}.png", bomb_png(7000 + n, 5000)) for n in range(9)],
        ),
    }


def jpeg_header(width: int, height: int) -> bytes:
    """Return a JPEG that claims to be huge."""
    data = bytearray(jpeg_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_header(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture((8, 8, 3)), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def gif_header(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def short_png(width: int, height: int) -> bytes:
    """Return a PNG whose pixels end after the first ones."""
    data = bytearray(png_bytes())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def text_bomb() -> bytes:
    """Return a PNG with comments that unpack to 600 MB."""
    text = zlib.compress(bytes(20 << 20), 9)
    chunk = b"zTXt" + b"comment\x00\x00" + text
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = png_bytes()
    return data[:33] + whole * 30 + data[33:]


def commented_png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", SCRIPT.decode())
    return encoded(picture(), "PNG", pnginfo=info)


def frames() -> bytes:
    """Return a GIF of many frames, each as large as the first one."""
    first = Image.new("P", (1500, 1500), 1)
    more = [Image.new("P", (1500, 1500), n % 250) for n in range(60)]
    return encoded(first, "GIF", save_all=True, append_images=more)


def nested(depth: int) -> bytes:
    data = zip_bytes([("cat/a.png", png_bytes())])
    for _ in range(depth):
        data = zip_bytes([("cat/inner.zip", data)])
    return data


def directory(names: int) -> bytes:
    """Return a zip of so many empty files; it is nearly all directory."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(names):
            archive.writestr(f"cat/{number}.png", b"")
    return file.getvalue()


def long_names(count: int) -> bytes:
    """Return a tar whose headers are longer than its files: names of a million letters."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for number in range(count):
            info = tarfile.TarInfo(f"cat/{number}" + "x" * 1_000_000 + ".png")
            tar.addfile(info)
    return file.getvalue()
