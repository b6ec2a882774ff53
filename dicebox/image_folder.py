"""Reads an ImageFolder tree: one folder a category, under an optional train/test level."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from commons.adapters.services import SensoryClient
from commons.errors import InvalidInputError, TooLargeError
from commons.image_tree import SPLIT_NAMES
from commons.messages import CategoryName, Split, UploadFault, UploadReply

_CATEGORY = TypeAdapter[str](CategoryName)
_MOST_FILES = 128
_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class CategoryFolder:
    """The files of one category and split, in the order of their names."""

    category: str
    split: Split | None
    files: list[Path]


@dataclass
class ImportReport:
    """What an import did, file by file where something was refused."""

    stored: int = 0
    duplicates: int = 0
    relabeled: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)

    def add(self, reply: UploadReply) -> None:
        """Count the answer to one request."""
        self.stored += sum(not image.duplicate for image in reply.stored)
        self.duplicates += sum(image.duplicate for image in reply.stored)
        self.relabeled += sum(image.relabeled for image in reply.stored)
        self.refused += [fault.model_dump(include={"file", "detail"}) for fault in reply.refused]


def read_tree(root: Path) -> list[CategoryFolder]:
    """Return the categories of a tree; hidden files and folders are passed over.

    Images under a training level have no split of their own if there is no validation level.

    Raises:
        InvalidInputError: It is no folder, holds no folder with files, or one whose name cannot
            be a category.
    """
    if not root.is_dir():
        raise InvalidInputError(f"expected a folder with one folder a category, got {root}")
    tops = _folders(root)
    if tops and all(top.name.lower() in SPLIT_NAMES for top in tops):
        splits = {top: SPLIT_NAMES[top.name.lower()] for top in tops}
        # Without a validation level the freeze draws one from the training images; an image
        # that comes with a split would stay in it.
        drawn = "validation" not in splits.values()
        found = [
            CategoryFolder(
                folder.name, None if drawn and split == "train" else split, _files(folder)
            )
            for top, split in splits.items()
            for folder in _folders(top)
        ]
    else:
        found = [CategoryFolder(top.name, None, _files(top)) for top in tops]
    found = [folder for folder in found if folder.files]
    if not found:
        raise InvalidInputError(f"expected one folder a category with images in it, got {root}")
    _check_names(found)
    return found


def upload_folder(
    sensory: SensoryClient, dataset: str, folder: CategoryFolder
) -> Iterator[tuple[int, UploadReply]]:
    """Upload a category in requests of some files; yield how many each had, and its answer."""
    files = iter(folder.files)
    while batch := _next_batch(files):
        yield len(batch), upload_files(sensory, dataset, folder.category, folder.split, batch)


def upload_files(
    sensory: SensoryClient,
    dataset: str,
    category: str,
    split: Split | None,
    batch: list[tuple[str, bytes]],
) -> UploadReply:
    """Upload files of one category; one that is too large for the service is refused alone."""
    try:
        return sensory.upload(dataset, batch, category, split)
    except TooLargeError as error:
        if len(batch) == 1:
            name, data = batch[0]
            detail = f"{len(data):,} bytes are more than the service takes"
            fault = UploadFault(file=name, kind=error.kind, detail=detail)
            return UploadReply(stored=[], refused=[fault])
    # One of them is too large, and costs the others nothing.
    replies = [upload_files(sensory, dataset, category, split, [file]) for file in batch]
    return UploadReply(
        stored=[image for reply in replies for image in reply.stored],
        refused=[fault for reply in replies for fault in reply.refused],
    )


def _next_batch(files: Iterator[Path]) -> list[tuple[str, bytes]]:
    batch: list[tuple[str, bytes]] = []
    size = 0
    for file in islice(files, _MOST_FILES):
        batch.append((_printable(f"{file.parent.name}/{file.name}"), file.read_bytes()))
        size += len(batch[-1][1])
        if size >= _MOST_BYTES:
            break
    return batch


def _check_names(folders: list[CategoryFolder]) -> None:
    for folder in folders:
        try:
            _CATEGORY.validate_python(folder.category)
        except ValidationError as error:
            raise InvalidInputError(
                "expected a folder name of 1 to 120 characters of UTF-8, none of them a backslash "
                f"or a control character, got {folder.category[:100]!r}: rename the folder"
            ) from error


def _printable(name: str) -> str:
    """Return a file's name for the report, also where the system holds one that is no UTF-8."""
    return name.encode(errors="backslashreplace").decode()


def _folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file() and not _is_hidden(f, folder))


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)
