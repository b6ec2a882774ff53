"""An archive as a tree of labeled images: what each of its files is, or why it is refused."""

from collections.abc import Iterator
from typing import IO

from commons.archives import Member, open_archive
from commons.errors import InvalidInputError, TooLargeError
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

_MOST_NAMES_BYTES = 16 * 1024 * 1024


class ArchiveTree:
    """Reads an archive twice: for its paths, which say what its folders mean, and its files.

    Args:
        file: A zip, tar or tar.gz that can seek.
        size: Its bytes.

    Raises:
        InvalidInputError: No archive, a damaged one, or none with one folder a category.
        TooLargeError: It unpacks to far more than pictures do.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._archive = open_archive(file, size)
        self._names: dict[str, str] = {}
        self._inside = 0
        self.files = 0
        self._rule = TreeRule(self._paths(), self._names)
        if not self._inside:
            raise InvalidInputError("expected an archive with one folder a category, got no such")

    def entries(self, most_bytes: int) -> Iterator[Entry]:
        """Yield every file but the hidden ones; one above `most_bytes` is refused.

        Raises:
            InvalidInputError: The archive is damaged from here on.
            TooLargeError: It unpacks to far more than pictures do.
        """
        labels = LabelConflicts()
        for member in self._archive.members():
            path = printable(member.name)
            if is_hidden(path) or parts_of(path) == (CATEGORIES_FILE,):
                continue
            try:
                place = self._place(path)
                data = member.read(most_bytes)
                labels.check(data, place.category)
            except (InvalidInputError, TooLargeError) as error:
                if error.kind == "archive-bomb":
                    raise
                yield Entry(path, fault=error)
            else:
                yield Entry(path, place, data)

    def _paths(self) -> Iterator[str]:
        for member in self._archive.members():
            path = printable(member.name)
            if parts_of(path) == (CATEGORIES_FILE,):
                self._names.update(_names(member))
            elif not is_hidden(path):
                self.files += 1
                if member.fault is None and parts_of(path) is not None:
                    self._inside += "/" in path
                    yield path

    def _place(self, path: str) -> Place:
        if parts_of(path) is None:
            raise InvalidInputError(
                "expected a path inside the archive, got one that leads out of it",
                kind="unsafe-path",
            )
        place = self._rule.place(path)
        if place is None:
            raise InvalidInputError(
                "expected a folder named like the category, got none", kind="no-category"
            )
        return place


def _names(member: Member) -> dict[str, str]:
    return category_names(member.read(_MOST_NAMES_BYTES))
