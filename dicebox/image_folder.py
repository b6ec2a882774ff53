"""Reads an ImageFolder tree: one folder a category, under an optional train/test level."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from commons.errors import DiceboxError, InvalidInputError, TooLargeError
from commons.image_tree import (
    CATEGORIES_FILE,
    Entry,
    LabelConflicts,
    Place,
    TreeRule,
    category_names,
    is_hidden,
    parts_of,
    printable,
)
from commons.messages import CategoryName, Split

_CATEGORY = TypeAdapter[str](CategoryName)


@dataclass(frozen=True)
class CategoryFolder:
    """The files of one category and split, in the order of their names."""

    category: str
    split: Split | None
    files: list[Path]


class FolderTree:
    """A folder of labeled images, as `commons.archive_tree.ArchiveTree` is an archive of them.

    Raises:
        InvalidInputError: It is no folder, holds no folder with files, or one whose name cannot
            be a category.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._categories = read_tree(root)
        self.files = sum(len(folder.files) for folder in self._categories)

    def entries(self, most_bytes: int) -> Iterator[Entry]:
        """Yield every file but the hidden ones; one above `most_bytes` is refused."""
        labels = LabelConflicts()
        for folder in self._categories:
            place = Place(folder.category, folder.split)
            for file in folder.files:
                path = printable(file.relative_to(self._root).as_posix())
                try:
                    data = _bytes_of(file, most_bytes)
                    labels.check(data, folder.category)
                except DiceboxError as error:
                    yield Entry(path, fault=error)
                else:
                    yield Entry(path, place, data)


def read_tree(root: Path) -> list[CategoryFolder]:
    """Return the categories of a tree; hidden files and folders are passed over.

    What the folders mean is said by `commons.image_tree.TreeRule`, as in an archive.

    Raises:
        InvalidInputError: It is no folder, holds no folder with files, or one whose name cannot
            be a category.
    """
    if not root.is_dir():
        raise InvalidInputError(f"expected a folder with one folder a category, got {root}")
    paths = sorted(path for path in _paths(root) if not is_hidden(path))
    rule = TreeRule(map(_in_its_folder, paths), _names(root))
    found: dict[Place, list[Path]] = {}
    for path in paths:
        if parts_of(_in_its_folder(path)) is None:
            raise _unfit(path.rpartition("/")[0])
        place = rule.place(_in_its_folder(path))
        if place is None:
            continue
        if place not in found:
            _check_name(place.category)
        found.setdefault(place, []).append(root / path)
    if not found:
        raise InvalidInputError(f"expected one folder a category with images in it, got {root}")
    return [CategoryFolder(*place, files) for place, files in found.items()]


def _paths(root: Path) -> Iterator[str]:
    """Yield the path of every file below a folder; links to folders are followed, once each."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        facts = os.stat(folder)
        if (facts.st_dev, facts.st_ino) in seen:
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        inside = Path(folder).relative_to(root)
        for name in files:
            yield (inside / name).as_posix()


def _in_its_folder(path: str) -> str:
    """Return the path without the file's own name, which may be anything."""
    return path.rpartition("/")[0] + "/file" if "/" in path else "file"


def _names(root: Path) -> dict[str, str]:
    """Return what an export says its folders are called."""
    file = root / CATEGORIES_FILE
    return category_names(file.read_bytes()) if file.is_file() else {}


def _bytes_of(file: Path, most_bytes: int) -> bytes:
    try:
        size = file.stat().st_size
        if size > most_bytes:
            raise TooLargeError(f"expected at most {most_bytes:,} bytes, got {size:,}")
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise InvalidInputError(f"it cannot be read: {reason}", kind="unreadable") from error


def _check_name(category: str) -> None:
    try:
        _CATEGORY.validate_python(category)
    except ValidationError as error:
        raise _unfit(category) from error


def _unfit(folder: str) -> InvalidInputError:
    return InvalidInputError(
        "expected a folder name of 1 to 120 characters of UTF-8, none of them a backslash "
        f"or a control character, got {printable(folder)[:100]!r}: rename the folder"
    )
