"""A fresh data folder in which a dataset is already frozen, in seconds instead of minutes.

Sending 60,000 images in takes a minute, and every cell of a table wants a folder that nobody has
searched in. So they are sent in once, and each cell gets a copy of that folder: the tables are
copied, the blobs, which nobody writes to in their place, get a second name.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from benchmarks.datasets import freeze_dataset
from benchmarks.frame import REPOSITORY, Options
from benchmarks.installation import Running, dicebox_up
from benchmarks.machine import commit
from commons.messages import Snapshot, Split
from dicebox.client import Client

_BLOBS = "blobs"
_TEMPLATES = ".frozen"  # with a dot: no tool looks for modules among thousands of blobs
_ABOUT = "about.json"


@dataclass(frozen=True)
class Frozen:
    """A running house with a frozen dataset; `images` tells its images, split and labels."""

    running: Running
    client: Client
    snapshot: Snapshot
    images: str


@contextmanager
def frozen_dicebox(dataset: str, options: Options) -> Iterator[Frozen]:
    """Give a house of a folder of its own with a frozen dataset, gone afterwards."""
    template = _template(dataset, options)
    houses = options.work / "houses"
    houses.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=houses, prefix="data-") as folder:
        data = Path(folder) / "data"
        copied(template / "data", data)
        with dicebox_up(data) as running, Client(running.url) as client:
            about = json.loads((template / _ABOUT).read_bytes())
            snapshot = Snapshot.model_validate(about["snapshot"])
            yield Frozen(running, client, snapshot, about["images"])


def fingerprint(client: Client, snapshot: Snapshot) -> str:
    """Return a hash of the images of a snapshot, each with its split and the name of its category.

    It is the same in every house, while categories have ids, and so snapshots, of their own.
    """
    names = [category.name for category in snapshot.categories]
    lines = sorted(
        f"{line.image} {split} {names[line.category]}"
        for split in get_args(Split)
        for line in client.sensory.snapshot_images(snapshot.id, split)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


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
    folder = options.work / _TEMPLATES / f"{dataset}-{made_by}"
    if not (folder / _ABOUT).exists():
        for old in (options.work / _TEMPLATES).glob(f"{dataset}-*"):
            shutil.rmtree(old)
        folder.mkdir(parents=True)
        with dicebox_up(folder / "data") as running, Client(running.url) as client:
            snapshot = freeze_dataset(client, dataset, options.datasets, options.work)
            images = fingerprint(client, snapshot)
        about = {"snapshot": snapshot.model_dump(mode="json"), "images": images}
        # Written last: a folder without it was not finished.
        (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return folder
