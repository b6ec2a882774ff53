"""Reads an ImageFolder tree: one folder a category, under an optional train/test level."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from commons.adapters.services import SensoryClient
from commons.errors import InvalidInputError
from commons.messages import Split, UploadReply

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
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
        InvalidInputError: It is no folder, or holds no folder with files.
    """
    if not root.is_dir():
        raise InvalidInputError(f"expected a folder with one folder a category, got {root}")
    tops = _folders(root)
    if tops and all(top.name.lower() in _SPLIT_NAMES for top in tops):
        splits = {top: _SPLIT_NAMES[top.name.lower()] for top in tops}
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
    return found


def upload_folder(
    sensory: SensoryClient, dataset: str, folder: CategoryFolder
) -> Iterator[tuple[int, UploadReply]]:
    """Upload a category in requests of some files; yield how many each had, and its answer."""
    files = iter(folder.files)
    while batch := _next_batch(files):
        reply = sensory.upload(dataset, batch, folder.category, folder.split)
        yield len(batch), reply


def _next_batch(files: Iterator[Path]) -> list[tuple[str, bytes]]:
    batch: list[tuple[str, bytes]] = []
    size = 0
    for file in islice(files, _MOST_FILES):
        batch.append((f"{file.parent.name}/{file.name}", file.read_bytes()))
        size += len(batch[-1][1])
        if size >= _MOST_BYTES:
            break
    return batch


def _folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))
