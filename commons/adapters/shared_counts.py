"""Lets the processes behind one address count together: for their parent, before they start."""

import os
import shutil
import sys
from pathlib import Path

from commons.adapters.data_folder import make_data_folder

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share_counts(folder: Path) -> None:
    """Have this process and its children count in a folder, emptied of what was counted before.

    Raises:
        StorageFullError: No space is left for it.
        UnavailableError: It cannot be made.
    """
    shutil.rmtree(folder, ignore_errors=True)
    make_data_folder(folder)
    os.environ[FOLDER] = str(folder)
    # The library looks for the folder when it is imported; a parent that forks may have done so.
    values = sys.modules.get("prometheus_client.values")
    if values is not None:
        values.ValueClass = values.get_value_class()  # type: ignore[attr-defined]


def never_fork() -> None:
    """Spare the library the question, at every count, whether this is still the same process.

    For one that will have no children of its own, before it counts anything.
    """
    if FOLDER not in os.environ:
        return
    from prometheus_client import values  # noqa: PLC0415 - it reads the environment

    mine = os.getpid()
    values.ValueClass = values.MultiProcessValue(lambda: mine)  # type: ignore[no-untyped-call]
