"""Store, relabel, delete, merge, freeze and restart in any order, against a plain model."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from commons.errors import ConflictError
from commons.messages import FreezeRequest
from tests.builders import png_bytes
from tests.sensory_house import BASE, House, open_house

IMAGES = [png_bytes((4, 4, 1), seed) for seed in range(12)]
images = st.integers(0, len(IMAGES) - 1)
names = st.sampled_from(["cat", "dog", "eel"])


class Catalog(RuleBasedStateMachine):
    """The model: what is in the dataset, each with its label; what was removed; snapshots."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.house: House = open_house(Path(self.folder.name) / "data")
        self.labels: dict[int, str | None] = {}
        self.removed: dict[int, str | None] = {}
        self.splits: dict[str, str] = {}
        self.hashes: dict[int, str] = {}
        self.frozen: dict[str, dict[str, str]] = {}

    def teardown(self) -> None:
        self.house.platform.database.dispose()
        self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.store(0, "cat")

    @rule(image=images, name=st.none() | names)
    def store(self, image: int, name: str | None) -> None:
        (stored,) = self.house.client.upload("pets", [("a.png", IMAGES[image])], name).stored
        before = self.removed.pop(image, None) if image in self.removed else self.labels.get(image)
        assert stored.duplicate == (image in self.labels)
        assert stored.relabeled == (image in self.labels and name not in (None, before))
        self.labels[image] = name or before
        self.hashes[image] = stored.image

    @rule(image=images, name=st.none() | names)
    def relabel(self, image: int, name: str | None) -> None:
        sha256 = self.hashes.get(image, "0" * 64)
        path = f"{BASE}/datasets/pets/images/{sha256}/label"
        reply = self.house.http.put(path, json={"category": name})
        assert reply.status_code == (200 if image in self.labels else 404)
        if image in self.labels:
            self.labels[image] = name

    @rule(image=images)
    def remove(self, image: int) -> None:
        sha256 = self.hashes.get(image, "0" * 64)
        reply = self.house.http.delete(f"{BASE}/datasets/pets/images/{sha256}")
        assert reply.status_code == (204 if image in self.hashes else 404)
        if image in self.labels:
            self.removed[image] = self.labels.pop(image)

    @rule()
    def freeze(self) -> None:
        try:
            snapshot = self.house.client.freeze("pets", FreezeRequest())
        except ConflictError:
            return
        rows = {
            line.image: (snapshot.categories[line.category].name, line.split)
            for split in ("train", "validation", "test")
            for line in self.house.client.snapshot_images(snapshot.id, split)
        }
        labeled = {self.hashes[i]: name for i, name in self.labels.items() if name is not None}
        assert {image: name for image, (name, _) in rows.items()} == labeled
        for image, (_, split) in rows.items():
            assert self.splits.setdefault(image, split) == split, "a split never changes"
        self.frozen[snapshot.id] = {image: name for image, (name, _) in rows.items()}

    @rule()
    def restart(self) -> None:
        self.house.platform.database.dispose()
        self.house = open_house(Path(self.folder.name) / "data")

    @invariant()
    def the_catalog_agrees(self) -> None:
        reply = self.house.http.get(f"{BASE}/datasets/pets/images?limit=100")
        if not self.hashes:
            assert reply.status_code == 404
            return
        shown = {
            row["image"]: row["category"] and row["category"]["name"]
            for row in reply.json()["images"]
        }
        assert shown == {self.hashes[image]: name for image, name in self.labels.items()}
        summary = self.house.client.dataset("pets")
        assert summary.images == len(self.labels)
        for category in summary.categories:
            assert category.images == list(self.labels.values()).count(category.name)

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        for image, sha256 in self.hashes.items():
            assert self.house.client.image(sha256) == IMAGES[image]

    @invariant()
    def snapshots_never_change(self) -> None:
        for snapshot, rows in self.frozen.items():
            value = self.house.client.snapshot(snapshot)
            assert sum(value.counts.values()) == len(rows)


TestCatalog = Catalog.TestCase
TestCatalog.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
