"""The HTTP face of imports and exports: both stream, whatever their size."""

import errno
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from flask import Response, request
from flask_openapi3 import APIBlueprint, RawModel

from commons.adapters.web_app import needs
from commons.errors import DiceboxError, InvalidInputError, StorageFullError
from commons.messages import (
    ExportFormat,
    ImportedFile,
    ImportSummary,
    Message,
)
from sensory_service.exports import SnapshotExport
from sensory_service.imports import ImageImport
from sensory_service.routes import Count, DatasetPath, SnapshotPath, who_asks

_LINES = "application/x-ndjson"
_PART_BYTES = 1 << 20
# What an upload would be counted as.
_COUNTED = {
    "stored": "new",
    "duplicate": "duplicate",
    "relabeled": "duplicate",
    "refused": "refused",
}


class ArchiveBody(RawModel):
    """The bytes of a zip, tar or tar.gz; what it is its first bytes say."""

    mimetypes = [  # noqa: RUF012 - its type
        "application/octet-stream",
        "application/zip",
        "application/x-tar",
        "application/gzip",
    ]


class ExportQuery(Message):
    """What the tar looks like inside."""

    format: ExportFormat = "imagefolder"


def archive_routes(
    prefix: str,
    imports: ImageImport,
    exports: SnapshotExport,
    folder: Path,
    most_bytes: int,
    count: Count,
) -> APIBlueprint:
    """Return the routes of imports and exports.

    Args:
        prefix: Path of the service.
        imports: Reads archives.
        exports: Writes them.
        folder: Where an archive waits while it is read.
        most_bytes: A larger archive is refused.
        count: Gets what became of every file, as of an upload.
    """
    routes = APIBlueprint("archives", __name__, url_prefix=prefix)

    @routes.post(
        "/datasets/<dataset>/imports",
        summary="Import an ImageFolder tree: a line of JSON for each file, the summary last",
        responses={200: ImportedFile},
    )
    def start_import(path: DatasetPath, raw: ArchiveBody) -> Response:
        request.max_content_length = most_bytes
        spool, size = _spooled(request.stream, folder)
        results = _begun(imports, path.dataset, spool, size)
        return Response(_lines(results, spool, count), content_type=_LINES)

    @routes.get(
        "/snapshots/<snapshot>/export",
        summary="A snapshot as a tar: ImageFolder by numbers, or COCO-style",
        security=needs("sensory:read", "train"),
    )
    def export(path: SnapshotPath, query: ExportQuery) -> Response:
        name = f"{path.snapshot[:12]}-{query.format}.tar"
        response = Response(
            exports.stream(path.snapshot, query.format), content_type="application/x-tar"
        )
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return routes


def _begun(
    imports: ImageImport, dataset: str, spool: IO[bytes], size: int
) -> Iterator[ImportedFile]:
    try:
        return imports.begin(dataset, spool, size, who_asks())
    except BaseException:
        spool.close()
        raise


def _spooled(stream: IO[bytes], folder: Path) -> tuple[IO[bytes], int]:
    """Return a file without a name that holds the body, and its size; a kill leaves nothing."""
    spool = TemporaryFile(dir=folder)  # noqa: SIM115 - closed when the answer is sent
    size = 0
    try:
        while part := stream.read(_PART_BYTES):
            spool.write(part)
            size += len(part)
        spool.flush()
    except OSError as error:
        with suppress(OSError):  # closing writes first, on the same full disk
            spool.close()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError("no space is left for the archive") from error
        raise
    if not size:
        spool.close()
        raise InvalidInputError("expected an archive, got 0 bytes", kind="not-an-archive")
    return spool, size


def _lines(results: Iterator[ImportedFile], spool: IO[bytes], count: Count) -> Iterator[str]:
    outcomes: Counter[str] = Counter()
    fault: DiceboxError | None = None
    with spool:
        try:
            for result in results:
                outcomes[result.outcome] += 1
                count("upload", _COUNTED[result.outcome], 1)
                yield result.model_dump_json(exclude_none=True) + "\n"
        except DiceboxError as error:
            fault = error
    summary = ImportSummary(
        complete=fault is None,
        stored=outcomes["stored"],
        duplicates=outcomes["duplicate"],
        relabeled=outcomes["relabeled"],
        refused=outcomes["refused"],
        kind=fault.kind if fault else None,
        detail=str(fault) if fault else None,
    )
    yield summary.model_dump_json(exclude_none=True) + "\n"
