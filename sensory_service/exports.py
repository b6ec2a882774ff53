"""Exports a snapshot as a tar: names of categories are data in it and never paths."""

import io
import json
import tarfile
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO

from commons.errors import GoneError
from commons.image_tree import CATEGORIES_FILE
from commons.messages import Category, ExportFormat, Snapshot
from sensory_service.packs import ImageReader
from sensory_service.ports import BlobCatalog, ImageCatalog, ManifestLine, SnapshotCatalog

_ROWS = 256
_BLOCK = 512


class SnapshotExport:
    """The use case of exports; memory holds some hundred images at a time.

    Args:
        snapshots: What can be exported.
        catalog: Formats and sizes.
        reader: The images' bytes.
        blobs: Says whether any of them were erased.
    """

    def __init__(
        self,
        snapshots: SnapshotCatalog,
        catalog: ImageCatalog,
        reader: ImageReader,
        blobs: BlobCatalog,
    ) -> None:
        self._snapshots = snapshots
        self._catalog = catalog
        self._reader = reader
        self._blobs = blobs

    def stream(self, snapshot: str, form: ExportFormat) -> Iterator[bytes]:
        """Return the parts of a tar.

        `imagefolder` has `<split>/<number of the category>/<sha256>.<type>` and the names in
        `categories.json`; an import reads them again. `coco` has `images/…` and, for each
        split, `annotations/<split>.json`.

        Raises:
            NotFoundError: No such snapshot.
            GoneError: Images of it were erased.
        """
        frozen = self._snapshots.get(snapshot)
        if erased := self._blobs.snapshot(frozen.id).purged:
            raise GoneError(
                f"{erased} images of this snapshot were erased: freeze again", kind="erased"
            )
        return self._folders(frozen) if form == "imagefolder" else self._coco(frozen)

    def _folders(self, snapshot: Snapshot) -> Iterator[bytes]:
        folders = [
            {"folder": _folder(index), "id": category.id, "name": category.name}
            for index, category in enumerate(snapshot.categories)
        ]
        content = {"snapshot": snapshot.id, "dataset": snapshot.dataset, "categories": folders}
        yield from _file(CATEGORIES_FILE, json.dumps(content, indent=1).encode())
        for row, kind, data in self._images(snapshot):
            yield from _file(f"{row.split}/{_folder(row.category)}/{row.image}.{kind}", data)
        yield bytes(2 * _BLOCK)

    def _coco(self, snapshot: Snapshot) -> Iterator[bytes]:
        for split, count in snapshot.counts.items():
            if count:
                yield from self._annotations(snapshot, split)
        for row, kind, data in self._images(snapshot):
            yield from _file(f"images/{row.image}.{kind}", data)
        yield bytes(2 * _BLOCK)

    def _annotations(self, snapshot: Snapshot, split: str) -> Iterator[bytes]:
        """Write one JSON to a file first: a tar says the size of a member before it."""
        with TemporaryFile() as images, TemporaryFile() as annotations:
            number = 0
            for row in self._rows(snapshot):
                if row.split == split:
                    number += 1
                    comma = b",\n" if number > 1 else b""
                    images.write(comma + self._image_line(number, row))
                    annotations.write(comma + _annotation_line(number, row))
            head = b'{"categories": ' + json.dumps(_coco_categories(snapshot.categories)).encode()
            parts: list[IO[bytes]] = [
                io.BytesIO(head + b', "images": [\n'),
                images,
                io.BytesIO(b'\n], "annotations": [\n'),
                annotations,
                io.BytesIO(b"\n]}\n"),
            ]
            size = sum(part.seek(0, io.SEEK_END) for part in parts)
            yield _header(f"annotations/{split}.json", size)
            for part in parts:
                part.seek(0)
                while data := part.read(1 << 20):
                    yield data
            yield _padding(size)

    def _image_line(self, number: int, row: ManifestLine) -> bytes:
        facts = self._catalog.find(row.image)
        line = {
            "id": number,
            "file_name": f"{row.image}.{facts.format.lower()}",
            "height": facts.height,
            "width": facts.width,
        }
        return json.dumps(line).encode()

    def _rows(self, snapshot: Snapshot) -> Iterator[ManifestLine]:
        for first in range(0, sum(snapshot.counts.values()), 10 * _ROWS):
            yield from self._snapshots.rows(snapshot.id, first, 10 * _ROWS)

    def _images(self, snapshot: Snapshot) -> Iterator[tuple[ManifestLine, str, bytes]]:
        for first in range(0, sum(snapshot.counts.values()), _ROWS):
            rows = self._snapshots.rows(snapshot.id, first, _ROWS)
            for row, data in zip(rows, self._reader.read([row.image for row in rows]), strict=True):
                yield row, self._catalog.find(row.image).format.lower(), data


def _folder(index: int) -> str:
    return f"{index:04}"


def _coco_categories(categories: list[Category]) -> list[dict[str, object]]:
    """Return the categories; COCO counts from 1."""
    return [
        {"id": index, "name": category.name, "dicebox_id": category.id}
        for index, category in enumerate(categories, start=1)
    ]


def _annotation_line(number: int, row: ManifestLine) -> bytes:
    return json.dumps({"id": number, "image_id": number, "category_id": row.category + 1}).encode()


def _file(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data))
    yield data
    yield _padding(len(data))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
