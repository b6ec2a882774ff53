"""A folder that many machines mount, and the file in it that shows that it is mounted.

Where a mount is missing, the system shows an empty folder in its place, which takes what is
written to it and loses it. So the folder that is meant holds a file, its sentinel, which
`python -m commons.adapters.shared_folder FOLDER` makes, once, when it is mounted first.
"""

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from commons.errors import UnavailableError

# Starts with a dot, so no blob can be named like it.
SENTINEL = ".dicebox-volume"
# Whose processes are those of the images.
_OWNER = 10001
_REMEMBERED_S = 1.0


class SharedFolder:
    """Says whether a folder is the one that is meant.

    Args:
        root: The folder.
        sentinel: Name of the file that it must hold; none: any folder is the right one.
        monotonic: For how long an answer is remembered.
    """

    def __init__(
        self,
        root: Path,
        sentinel: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._sentinel = sentinel
        self._monotonic = monotonic
        self._content: bytes | None = None
        self._until = 0.0

    def check(self) -> None:
        """Return if the folder is there.

        Raises:
            UnavailableError: It is not, or it is another one than it was before.
        """
        now = self._monotonic()
        if self._sentinel is None or (self._content is not None and now < self._until):
            return
        try:
            content = (self._root / self._sentinel).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UnavailableError(
                f"{self._root} has no {self._sentinel}: the shared folder is not mounted"
            ) from error
        except OSError as error:
            raise UnavailableError(f"{self._root} cannot be read: {error.strerror}") from error
        if self._content is not None and content != self._content:
            raise UnavailableError(
                f"{self._root} is another folder than before: its {self._sentinel} has changed"
            )
        self._content, self._until = content, now + _REMEMBERED_S


def prepare(root: Path, sentinel: str = SENTINEL, owner: int | None = None) -> bool:
    """Make a folder with its sentinel, and say whether the latter is new; it is never changed.

    Args:
        root: The folder; those above it are made too.
        sentinel: Name of the file.
        owner: User and group that both belong to from now on; none: whoever calls.

    Raises:
        OSError: They cannot be made.
    """
    root.mkdir(parents=True, exist_ok=True)
    file = root / f"{sentinel}.{uuid.uuid4().hex}"
    try:
        with file.open("x", encoding="ascii") as text:
            text.write(f"{uuid.uuid4().hex}\n")
            text.flush()
            os.fsync(text.fileno())
        if owner is not None:
            for path in (root, file):
                os.chown(path, owner, owner)
        try:
            os.link(file, root / sentinel)
        except FileExistsError:
            return False
        return True
    finally:
        file.unlink(missing_ok=True)
        _sync_folder(root)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare the folder that the command line names, and say what was done."""
    parser = argparse.ArgumentParser(
        prog="python -m commons.adapters.shared_folder",
        description="Make a folder for the blobs that many machines mount, and its sentinel.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentinel", default=SENTINEL, help="its name (default: %(default)s)")
    parser.add_argument(
        "--owner",
        type=int,
        default=_OWNER,
        help="whose the folder is to be, where this is called as root (default: %(default)s)",
    )
    said = parser.parse_args(arguments)
    owner = said.owner if os.geteuid() == 0 else None
    try:
        is_new = prepare(said.folder, said.sentinel, owner)
    except OSError as error:
        sys.exit(f"shared_folder: cannot make {error.filename or said.folder}: {error.strerror}")
    print(f"{said.folder / said.sentinel} {'was made' if is_new else 'is there'}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
