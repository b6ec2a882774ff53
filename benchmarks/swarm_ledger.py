"""What a client was told is kept, and whether it is: the count of lost data is made from this."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from commons.errors import NotFoundError
from dicebox.client import Client


@dataclass
class Ledger:
    """All that was acknowledged.

    Args:
        images: The sha256 of images, by their dataset.
        snapshots: Ids of what was frozen.
        orders: Ids of batch orders.
        runs: How many individuals a run had, by its id.
        networks: Ids.
    """

    images: dict[str, list[str]] = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    runs: dict[str, int] = field(default_factory=dict)
    networks: list[str] = field(default_factory=list)

    def note_images(self, dataset: str, hashes: list[str]) -> None:
        """Note images that were stored."""
        known = self.images.setdefault(dataset, [])
        known += [each for each in dict.fromkeys(hashes) if each not in set(known)]

    def save(self, file: Path) -> None:
        """Write it, whole or not at all."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps(vars(self)), encoding="utf-8")
        new.replace(file)

    @classmethod
    def of(cls, file: Path, uploads: Path | None = None, dataset: str = "") -> "Ledger":
        """Return what was written, with the uploads that a load wrote down beside it."""
        ledger = cls(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else cls()
        if uploads is not None and uploads.exists():
            ledger.note_images(dataset, uploads.read_text(encoding="utf-8").split())
        return ledger


def lost(client: Client, ledger: Ledger, *, compared: int = 200) -> list[str]:
    """Return a line for everything that was acknowledged and is not there.

    Args:
        client: Who asks.
        ledger: What there should be.
        compared: The bytes of so many images a dataset are fetched and hashed, the newest first.
    """
    found: list[str] = []
    for dataset, images in ledger.images.items():
        for begin in range(0, len(images), 1000):
            part = images[begin : begin + 1000]
            there = client.sensory.lookup(dataset, part)
            found += [f"image {each} of {dataset}" for each in part if each not in there]
        for sha256 in images[-compared:]:
            if not _is_whole(client, sha256):
                found.append(f"bytes of image {sha256}")
    for kind, ids in (
        ("snapshot", ledger.snapshots),
        ("order", ledger.orders),
        ("network", ledger.networks),
    ):
        found += [f"{kind} {each}" for each in ids if not _is_there(client, kind, each)]
    for run, individuals in ledger.runs.items():
        if not _is_there(client, "run", run):
            found.append(f"run {run}")
            continue
        have = len(client.evolution.individuals(run))
        if have < individuals:
            found.append(f"{individuals - have} individuals of run {run}")
    return found


def _is_whole(client: Client, sha256: str) -> bool:
    try:
        return hashlib.sha256(client.sensory.image(sha256)).hexdigest() == sha256
    except NotFoundError:
        return False


def _is_there(client: Client, kind: str, name: str) -> bool:
    ask: dict[str, Callable[[str], object]] = {
        "snapshot": client.sensory.snapshot,
        "order": client.sensory.order_state,
        "run": client.evolution.run,
        "network": partial(client.gallery.file, kind="onnx"),
    }
    try:
        ask[kind](name)
    except NotFoundError:
        return False
    return True
