"""What became of the files of an import, in one form for archives and folders."""

from collections.abc import Sequence
from typing import Literal

from commons.errors import DiceboxError
from commons.messages import ImportedFile, StoredImage, UploadReply


def results_of(paths: Sequence[str], reply: UploadReply) -> list[ImportedFile]:
    """Return the result of every file of a request that named them by their place: 0, 1, 2.

    Their own names may be long, twice the same, or no text.
    """
    refused = {int(fault.file): fault for fault in reply.refused}
    stored = iter(reply.stored)
    results = []
    for number, path in enumerate(paths):
        if number in refused:
            kind, detail = refused[number].kind, refused[number].detail
            results.append(ImportedFile(file=path, outcome="refused", kind=kind, detail=detail))
        else:
            results.append(_imported(path, next(stored)))
    return results


def refused_file(path: str, error: DiceboxError) -> ImportedFile:
    """Return the result of a file that was refused."""
    return ImportedFile(file=path, outcome="refused", kind=error.kind, detail=str(error))


def _imported(path: str, stored: StoredImage) -> ImportedFile:
    outcome: Literal["stored", "duplicate", "relabeled"] = "stored"
    if stored.duplicate:
        outcome = "relabeled" if stored.relabeled else "duplicate"
    return ImportedFile(file=path, outcome=outcome, image=stored.image)
