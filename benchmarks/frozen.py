"""A fresh data folder in which a dataset is already frozen, in seconds instead of minutes.

Sending 60,000 images in takes a minute, and every cell of a table wants a folder that nobody has
searched in. So they are sent in once, and each cell gets a copy of that folder: the tables are
copied, the blobs, which nobody writes to in their place, get a second name.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.datasets import freeze_dataset
from benchmarks.frame import REPOSITORY, Options
from benchmarks.installation import Running, dicebox_up
from benchmarks.machine import commit
from commons.messages import Snapshot
from dicebox.client import Client

_BLOBS = "blobs"
_ABOUT = "snapshot.json"


@contextmanager
def frozen_dicebox(dataset: str, options: Options) -> Iterator[tuple[Running, Client, Snapshot]]:
    """Give a house of a folder of its own with a frozen dataset, gone afterwards."""
    template = _template(dataset, options)
    houses = options.work / "houses"
    houses.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=houses, prefix="data-") as folder:
        data = Path(folder) / "data"
        copied(template / "data", data)
        with dicebox_up(data) as running, Client(running.url) as client:
            snapshot = Snapshot.model_validate_json((template / _ABOUT).read_bytes())
            yield running, client, snapshot


def copied(source: Path, target: Path) -> None:
    """Copy a data folder that no house serves; its blobs are shared by both copies."""
    blobs = source / _BLOBS

    def copy(file: str, to: str) -> None:
        if Path(file).is_relative_to(blobs):
            os.link(file, to)
        else:
            shutil.copy2(file, to)

    shutil.copytree(source, target, copy_function=copy)


def _template(dataset: str, options: Options) -> Path:
    """Return a folder with `data` and its snapshot, made once by each commit."""
    made_by = (commit(REPOSITORY)["commit"] or "unknown")[:12]
    folder = options.work / "frozen" / f"{dataset}-{made_by}"
    if not (folder / _ABOUT).exists():
        for old in (options.work / "frozen").glob(f"{dataset}-*"):
            shutil.rmtree(old)
        folder.mkdir(parents=True)
        with dicebox_up(folder / "data") as running, Client(running.url) as client:
            snapshot = freeze_dataset(client, dataset, options.datasets, options.work)
        # Written last: a folder without it was not finished.
        text = json.dumps(snapshot.model_dump(mode="json"))
        (folder / _ABOUT).write_text(text, encoding="utf-8")
    return folder
