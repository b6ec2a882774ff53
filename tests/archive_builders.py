"""Archives of pictures for tests, good and hostile."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Sequence

Files = Sequence[tuple[str, bytes]]


def tar_bytes(files: Files, packed: bool = True, more: Sequence[tarfile.TarInfo] = ()) -> bytes:
    """Return a tar.gz or tar of files, and of members without bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz" if packed else "w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in more:
            tar.addfile(info)
    return file.getvalue()


def zip_bytes(files: Files) -> bytes:
    """Return a zip of files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return file.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return a member that is a link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def tar_bomb(unpacked_bytes: int) -> bytes:
    """Return a small tar.gz with one file of that many zeros."""
    info = tarfile.TarInfo("cat/zeros.png")
    info.size = unpacked_bytes
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=9) as packed:
        packed.write(info.tobuf())
        for _ in range(unpacked_bytes >> 20):
            packed.write(bytes(1 << 20))
        packed.write(bytes(1024))
    return file.getvalue()
