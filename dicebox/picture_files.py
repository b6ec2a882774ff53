"""Pictures in files, folders and on standard input, and what a network says of each."""

import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import click

from commons.adapters.services import GalleryClient
from commons.errors import (
    DiceboxError,
    ForbiddenError,
    InvalidInputError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)

_STDIN = Path("-")
_MOST_BYTES = 63 * 1024 * 1024  # what fits into one request of the service
# Whoever meets one of these meets it with every other file too.
_OF_ALL = (UnavailableError, UnauthorizedError, ForbiddenError)


class AskedPictures(NamedTuple):
    """Who is asked about pictures, and for how many categories each."""

    dataset: str | None = None
    network: str | None = None
    top: int = 3


def pictures_of(sources: Sequence[Path]) -> list[Path]:
    """Return the files, and those in the folders by name; hidden ones only where they are named."""
    files: list[Path] = []
    for source in sources:
        if source != _STDIN and source.is_dir():
            files += _files_below(source)
        else:
            files.append(source)
    return files


def classified_pictures(
    gallery: GalleryClient, files: Sequence[Path], asked: AskedPictures, at_once: int
) -> Iterator[dict[str, Any]]:
    """Yield for each file, in their order, its `file` and what is said of it.

    One that cannot be classified has an `error` and its `kind` instead. If that holds for all,
    as when the server is gone, it is the last that is yielded.
    """
    pool = ThreadPoolExecutor(at_once)
    under_way: deque[Future[dict[str, Any]]] = deque()
    left = iter(files)
    try:
        while True:
            while len(under_way) < 2 * at_once and (file := next(left, None)) is not None:
                under_way.append(pool.submit(_classified, gallery, file, asked))
            if not under_way:
                return
            result = under_way.popleft().result()
            of_all = result.pop("of_all", False)
            yield result
            if of_all:
                return
    finally:
        # Who interrupts this waits for nothing.
        pool.shutdown(wait=False, cancel_futures=True)


def _files_below(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
    return found


def _classified(gallery: GalleryClient, file: Path, asked: AskedPictures) -> dict[str, Any]:
    name = click.format_filename(file)
    try:
        answer = gallery.classify(_bytes_of(file), asked.dataset, asked.network, asked.top)
    except DiceboxError as error:
        fault = {"file": name, "error": str(error), "kind": error.kind}
        return {**fault, "of_all": True} if isinstance(error, _OF_ALL) else fault
    return {"file": name, **answer.model_dump(mode="json")}


def _bytes_of(file: Path) -> bytes:
    try:
        if file == _STDIN:
            data = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with file.open("rb") as stream:
                data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise InvalidInputError(f"it cannot be read: {reason}", kind="unreadable") from error
    if len(data) > _MOST_BYTES:
        raise TooLargeError(f"expected at most {_MOST_BYTES:,} bytes, got more")
    return data
