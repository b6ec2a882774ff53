"""Lets the processes behind one address count together: for their parent, before they start."""

import os
import shutil
import sys
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share_counts(folder: Path) -> None:
    """Have this process and its children count in a folder, emptied of what was counted before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[FOLDER] = str(folder)
    # The library looks for the folder when it is imported; a parent that forks may have done so.
    values = sys.modules.get("prometheus_client.values")
    if values is not None:
        values.ValueClass = values.get_value_class()  # type: ignore[attr-defined]
