"""A gallery with networks that know what they are told, and labeled images to ask them about."""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import classification_service
from classification_service.adapters.tables import SqlGalleryTables
from classification_service.adapters.trial_tables import (
    SqlReignTables,
    SqlTrafficTables,
    SqlTrialTables,
)
from classification_service.gallery import Gallery
from classification_service.guarding import Limits
from classification_service.judging import Rule
from classification_service.loading import Loader
from classification_service.memory import Spares
from classification_service.networks import Networks
from classification_service.ports import Floats, RegisteredNetwork
from classification_service.probation import Probation
from classification_service.trial_judge import TrialJudge
from classification_service.trials import Trials
from commons.adapters.database import create_database, migrate, sqlite_url
from commons.adapters.decode import DECODER
from commons.errors import NotFoundError, UnavailableError
from commons.messages import (
    Category,
    ResizePolicy,
    Snapshot,
    SnapshotEntry,
    SnapshotImage,
    Split,
)
from commons.network_card import Preprocessing, network_id
from tests.memory_blobs import MemoryBlobs
from tests.onnx_builders import SHAPE, network_card

MIGRATIONS = Path(classification_service.__file__).parent / "migrations"
CATEGORIES = [Category(id="c0", name="dark"), Category(id="c1", name="bright")]
LIMITS = Limits(window_s=60.0, least_answers=50, least_errors=5, proof_answers=100, proof_s=300.0)


class StandingClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def picture(value: int) -> bytes:
    """Return an image that is grey all over; odd ones show the second category."""
    file = io.BytesIO()
    Image.new("L", (8, 8), value).save(file, "PNG")
    return file.getvalue()


class ToldPredictor:
    """Right about every `picture`, but for the values it was told to be wrong about."""

    def __init__(self, data: bytes) -> None:
        told = json.loads(data)
        self._wrong = set(told["wrong"])
        self._fails = told["fails"]
        self._is_unsure = told["unsure"]

    def predict(self, images: Floats) -> Floats:
        if self._fails and images.max() not in (0.0, 255.0):  # the warm-up sees black and white
            raise UnavailableError("it fails")
        values = np.rint(images.mean(axis=(1, 2, 3))).astype(int)
        said = [value % 2 ^ (int(value) in self._wrong) for value in values]
        sure = np.eye(2, dtype=np.float32)[said]
        if self._is_unsure and images.max() not in (0.0, 255.0):
            sure[:] = np.nan
        return sure


@dataclass
class LabeledShelf:
    """`LabeledImages` in memory; remembers which splits were asked for."""

    entries: list[SnapshotEntry] = field(default_factory=list)
    lines: dict[str, list[SnapshotImage]] = field(default_factory=dict)
    data: dict[str, bytes] = field(default_factory=dict)
    splits: list[Split] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    away: bool = False

    def freeze(
        self, values: Sequence[int], split: Split = "validation", categories: int = 2
    ) -> str:
        """Add a snapshot of the pictures of these values, newest from now on."""
        number = f"{len(self.entries):064x}"
        images = {hashlib.sha256(picture(value)).hexdigest(): value for value in values}
        self.data |= {image: picture(value) for image, value in images.items()}
        self.lines[number] = [
            SnapshotImage(image=image, category=value % 2, split=split)
            for image, value in images.items()
        ]
        counts: dict[Split, int] = {split: len(images)}
        entry = SnapshotEntry(
            id=number, created=1.0, images=len(images), counts=counts, categories=categories
        )
        self.entries.insert(0, entry)
        return number

    def snapshots(self, dataset: str) -> list[SnapshotEntry]:
        if self.away:
            raise UnavailableError("the sensory service is away")
        if dataset != "digits":
            raise NotFoundError(f"there is no dataset {dataset}")
        return self.entries

    def snapshot(self, snapshot: str) -> Snapshot:
        entry = next(one for one in self.entries if one.id == snapshot)
        return Snapshot(
            id=snapshot,
            dataset="digits",
            categories=CATEGORIES,
            counts=entry.counts,
            median_shape=(8, 8, 1),
            created=1.0,
        )

    def snapshot_images(self, snapshot: str, split: Split) -> Iterator[SnapshotImage]:
        self.splits.append(split)
        return (line for line in self.lines[snapshot] if line.split == split)

    def image(self, sha256: str) -> bytes:
        self.asked.append(sha256)
        if sha256 not in self.data:
            raise NotFoundError(f"there is no image {sha256}")
        return self.data[sha256]


class TrialHouse:
    """Everything about trials over one SQLite file; `more()` is another process on it."""

    def __init__(self, folder: Path, blobs: MemoryBlobs | None = None) -> None:
        self.folder = folder
        self.blobs = blobs or MemoryBlobs()
        self.database = create_database(sqlite_url(folder / "classification.sqlite3"))
        migrate(self.database, MIGRATIONS)
        self.clock = StandingClock()
        self.tables = SqlGalleryTables(self.database)
        self.reigns = SqlReignTables(self.database)
        self.trial_tables = SqlTrialTables(self.database)
        self.traffic = SqlTrafficTables(self.database)
        loader = Loader(self.blobs, ToldPredictor)
        self.gallery = Gallery(self.tables, loader, self.clock, self.trial_tables, spares=Spares(2))
        self.networks = Networks(self.tables, loader, self.gallery, self.clock)
        self.trials = Trials(
            self.tables, self.reigns, self.trial_tables, self.networks, self.gallery, self.clock
        )
        self.probation = Probation(
            self.gallery, self.reigns, self.trial_tables, self.traffic, self.clock, LIMITS
        )
        self.shelf = LabeledShelf()
        self.judge = TrialJudge(
            self.tables,
            self.trial_tables,
            self.trial_tables,
            self.gallery,
            self.shelf,
            self.clock,
            Rule(),
        )

    def more(self) -> "TrialHouse":
        """Return another process on the same tables, with a clock of its own."""
        return TrialHouse(self.folder, self.blobs)

    def network(
        self,
        *wrong: int,
        dataset: str = "digits",
        fails: bool = False,
        unsure: bool = False,
        resize: ResizePolicy = "fit",
    ) -> str:
        """Return a registered network that is wrong about these pictures."""
        told = json.dumps({"wrong": wrong, "fails": fails, "dataset": dataset, "unsure": unsure})
        how = Preprocessing(shape=SHAPE, resize=resize, decoder=DECODER)
        card = network_card(self.blobs, told.encode(), dataset=dataset, preprocessing=how)
        self.tables.add_network(RegisteredNetwork(network_id(card), card, 1.0))
        return network_id(card)

    def promote(self, *networks: str) -> None:
        """Promote one after the other."""
        for network in networks:
            self.networks.promote("digits", network)

    def champion(self) -> str | None:
        """Return who answers by the tables."""
        return self.networks.champion("digits").network
