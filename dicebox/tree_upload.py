"""Uploads the images of a folder or archive, in requests of some files.

An import that was interrupted goes on by being run again: while what comes is there already, its
hashes are asked for first and only the others are sent.
"""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from commons.adapters.services import SensoryClient
from commons.archive_tree import ArchiveTree
from commons.errors import InvalidInputError, NotFoundError, TooLargeError
from commons.image_tree import Entry, Place
from commons.import_results import refused_file, results_of
from commons.messages import DatasetImage, ImportedFile
from dicebox.image_folder import FolderTree

_REQUESTS_AT_ONCE = 2
_MOST_FILES = 256
_MOST_BYTES = 16 * 1024 * 1024
_MOST_IMAGE_BYTES = 63 * 1024 * 1024  # what fits into one request of the service

Files = list[tuple[str, bytes]]


class ImageTree(Protocol):
    """A folder or archive with `files` images in it, about."""

    files: int

    def entries(self, most_bytes: int) -> Iterator[Entry]:
        """Yield its files; one above `most_bytes` is refused.

        Raises:
            InvalidInputError: It is damaged from here on.
            TooLargeError: It unpacks to far more than pictures do.
        """
        ...


@contextmanager
def opened_tree(source: Path) -> Iterator[ImageTree]:
    """Give what a folder, zip, tar or tar.gz holds.

    Raises:
        InvalidInputError: None of these, a damaged one, or one without folders for categories.
        TooLargeError: It unpacks to far more than pictures do.
    """
    if not source.is_file():
        yield FolderTree(source)
        return
    with source.open("rb") as file:
        yield ArchiveTree(file, source.stat().st_size)


def upload_tree(
    sensory: SensoryClient, dataset: str, tree: ImageTree, *, send_all: bool = False
) -> Iterator[list[ImportedFile]]:
    """Upload the images of a tree; yield what became of the files of each request.

    What is there already is not sent, but for `send_all`: it puts bytes back that were lost.

    Some requests are under way at once: while one is read here, others are written there. The
    first one of a category goes alone, so that categories are made in the order of the tree.
    """
    pool = ThreadPoolExecutor(_REQUESTS_AT_ONCE)
    under_way: deque[Future[list[ImportedFile]]] = deque()
    made: set[str] = set()
    sender = _Sender(sensory, dataset, send_all=send_all)
    try:
        for request in _requests(tree):
            if isinstance(request, ImportedFile):
                yield [request]
                continue
            place, files = request
            most = _REQUESTS_AT_ONCE if place.category in made else 0
            under_way.append(pool.submit(sender.send, place, files))
            made.add(place.category)
            while len(under_way) > most:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except (Exception, GeneratorExit):
        # What is under way comes to its end before the service that it talks to does.
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        # Who interrupts an import waits for nothing: an image is stored, or it is not.
        pool.shutdown(wait=False, cancel_futures=True)


def _requests(tree: ImageTree) -> Iterator[tuple[Place, Files] | ImportedFile]:
    """Yield files of one category that go together, and what is refused here already."""
    waiting: dict[Place, Files] = defaultdict(list)
    size = 0
    for entry in tree.entries(_MOST_IMAGE_BYTES):
        if entry.place is None:
            yield refused_file(entry.path, entry.fault or InvalidInputError("no category"))
            continue
        waiting[entry.place].append((entry.path, entry.data))
        size += len(entry.data)
        # Those of one category are together in a folder; an archive may have them in any order.
        if size >= _MOST_BYTES:
            full = list(waiting)
        elif len(waiting[entry.place]) >= _MOST_FILES:
            full = [entry.place]
        else:
            continue
        for place in full:
            files = waiting.pop(place)
            size -= sum(len(data) for _, data in files)
            yield place, files
    yield from waiting.items()


class _Sender:
    """Sends files of one category, but for those that are there already."""

    def __init__(self, sensory: SensoryClient, dataset: str, *, send_all: bool) -> None:
        self._sensory = sensory
        self._dataset = dataset
        # Asking costs a request, and nothing is there in most imports but those run again.
        self._send_all = send_all
        self._ask_first = not send_all

    def send(self, place: Place, files: Files) -> list[ImportedFile]:
        """Return what became of each file."""
        there = self._there(place, files) if self._ask_first else {}
        missing = [file for number, file in enumerate(files) if number not in there]
        sent = iter(self._upload(place, missing))
        results = [
            ImportedFile(file=path, outcome="duplicate", image=there[number])
            if number in there
            else next(sent)
            for number, (path, _) in enumerate(files)
        ]
        again = any(result.outcome == "duplicate" for result in results)
        self._ask_first = again and not self._send_all
        return results

    def _there(self, place: Place, files: Files) -> dict[int, str]:
        """Return the hashes of the files that an upload would leave as they are, by position."""
        hashes = [hashlib.sha256(data).hexdigest() for _, data in files]
        try:
            found = self._sensory.lookup(self._dataset, sorted(set(hashes)))
        except NotFoundError:  # no such dataset yet
            return {}
        return {
            number: sha256
            for number, sha256 in enumerate(hashes)
            if sha256 in found and _is_as_in(place, found[sha256])
        }

    def _upload(self, place: Place, files: Files) -> list[ImportedFile]:
        """Send files; one that is too large for the service is refused alone."""
        if not files:
            return []
        numbered = [(str(number), data) for number, (_, data) in enumerate(files)]
        try:
            reply = self._sensory.upload(self._dataset, numbered, place.category, place.split)
        except TooLargeError as error:
            if len(files) == 1:
                ((path, data),) = files
                detail = f"{len(data):,} bytes are more than the service takes"
                return [refused_file(path, TooLargeError(detail, kind=error.kind))]
            # One of them is too large, and costs the others nothing.
            return [one for file in files for one in self._upload(place, [file])]
        except InvalidInputError as error:  # the name of the category
            return [refused_file(path, error) for path, _ in files]
        return results_of([path for path, _ in files], reply)


def _is_as_in(place: Place, image: DatasetImage) -> bool:
    name = image.category and image.category.name
    return name == place.category and (place.split is None or image.split is not None)


class ImportReport:
    """What an import did, file by file where something was refused."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self.refused: list[ImportedFile] = []

    def add(self, files: list[ImportedFile]) -> None:
        """Count what became of some files."""
        self._outcomes.update(file.outcome for file in files)
        self.refused += [file for file in files if file.outcome == "refused"]

    @property
    def stored(self) -> int:
        """Return how many images are new."""
        return self._outcomes["stored"]

    @property
    def duplicates(self) -> int:
        """Return how many were there already, the relabeled ones among them."""
        return self._outcomes["duplicate"] + self.relabeled

    @property
    def relabeled(self) -> int:
        """Return how many were there under another category."""
        return self._outcomes["relabeled"]

    def as_json(self) -> dict[str, Any]:
        """Return the figures, and the file and reason of each that was refused."""
        return {
            "stored": self.stored,
            "duplicates": self.duplicates,
            "relabeled": self.relabeled,
            "refused": [{"file": one.file, "detail": one.detail} for one in self.refused],
        }
