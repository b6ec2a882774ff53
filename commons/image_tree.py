"""What the paths of a tree of images say about them: the one rule of folders and archives.

    cat/1.png             the category cat
    train/cat/1.png       the category cat, the split train

A training level without a validation level leaves the split open: the freeze draws validation
images from it, and an image that comes with a split would stay in that.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from commons.errors import DiceboxError, InvalidInputError, TooLargeError
from commons.messages import Split

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
CATEGORIES_FILE = "categories.json"
_MOST_FOLDERS = 100_000


class Place(NamedTuple):
    """Where a file of a tree belongs."""

    category: str
    split: Split | None


@dataclass(frozen=True)
class Entry:
    """A file of a tree: where it belongs and its bytes, or the fault it is refused for."""

    path: str
    place: Place | None = None
    data: bytes = b""
    fault: DiceboxError | None = None


class TreeRule:
    """Says where each file of one tree belongs, once all of its paths were seen.

    Args:
        paths: Those of all files, in any order.
        names: Name of a category by that of its folder, where an export says so; it may be
            filled while the paths are read.
    """

    def __init__(self, paths: Iterable[str], names: Mapping[str, str] | None = None) -> None:
        self._names: Mapping[str, str] = {} if names is None else names
        tops: set[str] = set()
        seconds: set[str] = set()
        shallow = False
        for path in paths:
            parts = parts_of(path)
            if parts is None or len(parts) < 2:  # noqa: PLR2004 - a file in no folder
                continue
            tops.add(parts[0])
            shallow = shallow or len(parts) == 2  # noqa: PLR2004
            if len(parts) > 2:  # noqa: PLR2004
                seconds.add(parts[1])
            if len(tops) + len(seconds) > _MOST_FOLDERS:
                raise TooLargeError(f"expected at most {_MOST_FOLDERS:,} folders, got more")
        # One folder around everything, as archives have it, is not a category.
        self._root = int(
            len(tops) == 1 and not shallow and not {top.lower() for top in tops} & set(SPLIT_NAMES)
        )
        level = {name.lower() for name in (seconds if self._root else tops)}
        self._split_level = bool(level) and level <= set(SPLIT_NAMES)
        self._drawn = "validation" not in {SPLIT_NAMES.get(name) for name in level}

    def place(self, path: str) -> Place | None:
        """Return where a file belongs, or nothing if it lies in no category."""
        parts = (parts_of(path) or ())[self._root :]
        split: Split | None = None
        if self._split_level and len(parts) > 1:
            split = SPLIT_NAMES[parts[0].lower()]
            parts = parts[1:]
            split = None if self._drawn and split == "train" else split
        if len(parts) < 2:  # noqa: PLR2004 - a file in no folder
            return None
        return Place(self._names.get(parts[0], parts[0]), split)


class LabelConflicts:
    """Finds the same bytes in two categories: the first one counts, so a second import agrees."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        # Half of the hash: a million of them must fit in memory.
        self._of: dict[bytes, int] = {}

    def check(self, data: bytes, category: str) -> None:
        """Remember the category of an image.

        Raises:
            InvalidInputError: It was in another one before.
        """
        number = self._numbers.setdefault(category, len(self._numbers))
        first = self._of.setdefault(hashlib.sha256(data).digest()[:16], number)
        if first != number:
            other = list(self._numbers)[first]
            raise InvalidInputError(
                f"the same image is in {other[:100]!r} of this import, which counts",
                kind="conflict",
            )


def printable(path: str) -> str:
    """Return a path as text, also where it is no UTF-8."""
    return path.encode(errors="backslashreplace").decode()[:1000]


def parts_of(path: str) -> tuple[str, ...] | None:
    """Return the parts of a relative path, or nothing for one that leads out of its tree."""
    if not path or path.startswith("/") or "\\" in path or "\x00" in path:
        return None
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    return None if ".." in parts or (parts and parts[0].endswith(":")) else parts


def is_hidden(path: str) -> bool:
    """Say whether a file is one that people do not mean when they send a folder."""
    parts = path.split("/")
    return "__MACOSX" in parts or any(
        part.startswith(".") and part not in (".", "..") for part in parts
    )


def category_names(data: bytes) -> dict[str, str]:
    """Return the name of each category by its folder, from the `categories.json` of an export.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        return {str(one["folder"]): str(one["name"]) for one in json.loads(data)["categories"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInputError(
            f"expected {CATEGORIES_FILE} as an export writes it, got something else"
        ) from error
