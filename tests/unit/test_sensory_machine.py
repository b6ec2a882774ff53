"""Everything a person may do to a catalog, in any order, against a plain model.

Store, relabel, remove, erase, add, rename and merge categories, freeze, export and restart.
"""

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from commons.errors import ConflictError
from commons.messages import SPLITS, FreezeRequest
from sensory_service.adapters.blob_tables import BlobTables
from sensory_service.blob_names import image_blob, pack_blob
from tests.builders import png_bytes
from tests.sensory_house import BASE, House, open_house

FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"
IMAGES = [png_bytes((4, 4, 1), seed) for seed in range(12)]
HASHES = [hashlib.sha256(data).hexdigest() for data in IMAGES]
images = st.integers(0, len(IMAGES) - 1)
names = st.sampled_from(["cat", "dog", "eel", "fox"])
PETS = f"{BASE}/datasets/pets"


class Catalog(RuleBasedStateMachine):
    """The model, with images as numbers and categories as ids.

    `labels`: what is in the dataset, each with its label; `removed`: what was, likewise;
    `erased`: whose bytes are gone; `means`: what a name means, also one that was merged;
    `shown`: the names of categories; `former`: names that they had and nobody took since;
    `frozen`: snapshots, image to name and split; `marks`: how many images of a snapshot were
    erased. `did` counts, over all histories.
    """

    def __init__(self, did: Counter[str]) -> None:
        super().__init__()
        self.did = did
        self.did["histories"] += 1
        self.folder = tempfile.TemporaryDirectory()
        self.house: House = open_house(Path(self.folder.name) / "data")
        self.labels: dict[int, str | None] = {}
        self.removed: dict[int, str | None] = {}
        self.erased: set[int] = set()
        self.means: dict[str, str] = {}
        self.shown: dict[str, str] = {}
        self.former: set[str] = set()
        self.splits: dict[str, str] = {}
        self.frozen: dict[str, dict[str, tuple[str, str]]] = {}
        self.marks: dict[str, int] = {}

    def teardown(self) -> None:
        tables = BlobTables(self.house.platform.database)
        for kind, blob_of in (("images", image_blob), ("packs", pack_blob)):
            known = {blob_of(sha256) for sha256 in tables.hashes(kind, "")}
            assert set(self.house.platform.blobs.names(f"{kind}/")) == known
        self.house.platform.database.dispose()
        self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        for image in range(4):
            self.store(image, "cat" if image % 2 else "dog")

    @rule(image=images, name=st.none() | names)
    def store(self, image: int, name: str | None) -> None:
        (stored,) = self.house.client.upload("pets", [("a.png", IMAGES[image])], name).stored
        assert stored.image == HASHES[image]
        category = self.known(name, stored.category and stored.category.id)
        before = self.removed.pop(image) if image in self.removed else self.labels.get(image)
        assert stored.duplicate == (image in self.labels)
        assert stored.relabeled == (image in self.labels and category not in (None, before))
        self.labels[image] = category or before
        self.erased.discard(image)

    @rule(image=images, name=st.none() | names)
    def relabel(self, image: int, name: str | None) -> None:
        reply = self.house.http.put(f"{PETS}/images/{HASHES[image]}/label", json={"category": name})
        assert reply.status_code == (200 if image in self.labels else 404)
        if image in self.labels:
            category = reply.json()["category"]
            self.labels[image] = self.known(name, category and category["id"])

    @rule(image=images)
    def remove(self, image: int) -> None:
        reply = self.house.http.delete(f"{PETS}/images/{HASHES[image]}")
        known = image in self.labels or image in self.removed
        assert reply.status_code == (204 if known else 404)
        if image in self.labels:
            self.removed[image] = self.labels.pop(image)

    @rule(image=images)
    def erase(self, image: int) -> None:
        reply = self.house.http.delete(f"{BASE}/images/{HASHES[image]}")
        known = image in self.labels or image in self.removed
        assert reply.status_code == (200 if known else 404)
        if image in self.labels:
            self.removed[image] = self.labels.pop(image)
        if known and image not in self.erased:
            self.erased.add(image)
            self.did["erasures"] += 1
            for snapshot, rows in self.frozen.items():
                self.marks[snapshot] += HASHES[image] in rows

    @rule(name=names)
    def add(self, name: str) -> None:
        reply = self.house.http.post(f"{PETS}/categories", json={"name": name})
        self.free(name)
        assert reply.status_code == (200 if name in self.means else 201)
        self.known(name, reply.json()["id"])

    @rule(which=names, name=names)
    def rename(self, which: str, name: str) -> None:
        category = self.means.get(which, "none")
        reply = self.house.http.put(f"{PETS}/categories/{category}/name", json={"name": name})
        if category == "none":
            assert reply.status_code == 404
        elif name not in self.former and self.means.get(name, category) != category:
            assert (reply.status_code, reply.json()["type"]) == (409, "category-exists")
        else:
            assert reply.json() == {"id": category, "name": name}
            self.free(name)
            if name not in self.means:
                self.former.add(self.shown[category])
            self.means[name], self.shown[category] = category, name

    @rule(which=names, into=names)
    def merge(self, which: str, into: str) -> None:
        source, target = self.means.get(which, "none"), self.means.get(into, "none")
        path = f"{PETS}/categories/{source}/merge"
        reply = self.house.http.post(path, json={"into": target})
        if "none" in (source, target):
            assert reply.status_code == 404
        elif source == target:
            assert reply.status_code == 400
        else:
            assert reply.json() == {"id": target, "name": self.shown[target]}
            del self.shown[source]
            for held in (self.means, self.labels, self.removed):
                held.update({key: target for key, value in held.items() if value == source})

    @rule()
    def freeze(self) -> None:
        try:
            snapshot = self.house.client.freeze("pets", FreezeRequest())
        except ConflictError:
            return
        rows = {
            line.image: (snapshot.categories[line.category].name, line.split)
            for split in SPLITS
            for line in self.house.client.snapshot_images(snapshot.id, split)
        }
        labeled = {HASHES[i]: self.shown[c] for i, c in self.labels.items() if c is not None}
        assert {image: name for image, (name, _) in rows.items()} == labeled
        for image, (_, split) in rows.items():
            assert self.splits.setdefault(image, split) == split, "a split never changes"
        self.frozen[snapshot.id] = rows
        self.did["freezes"] += 1
        self.marks.setdefault(snapshot.id, 0)

    @precondition(lambda self: self.frozen)
    @rule(data=st.data())
    def export(self, data: st.DataObject) -> None:
        snapshot = data.draw(st.sampled_from(sorted(self.frozen)))
        reply = self.house.http.get(f"{BASE}/snapshots/{snapshot}/export")
        if self.marks[snapshot]:
            assert (reply.status_code, reply.json()["type"]) == (410, "erased")
            return
        with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
            files = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
        categories = json.loads(files.pop("categories.json"))["categories"]
        name_of = {category["folder"]: category["name"] for category in categories}
        found = {}
        for path, content in files.items():
            split, folder, name = path.split("/")
            assert hashlib.sha256(content).hexdigest() == name.removesuffix(".png")
            found[name.removesuffix(".png")] = (name_of[folder], split)
        assert found == self.frozen[snapshot]

    @rule()
    def restart(self) -> None:
        self.did["restarts"] += 1
        self.house.platform.database.dispose()
        self.house = open_house(Path(self.folder.name) / "data")

    def known(self, name: str | None, category: str | None) -> str | None:
        """Return the category that a name means, which came as an answer; it may be new."""
        if name is None:
            return None
        assert category is not None
        if name not in self.means:
            assert category not in self.shown
            self.means[name], self.shown[category] = category, name
        assert self.means[name] == category
        return category

    def free(self, name: str) -> None:
        """Have a name that a category had before mean nothing."""
        if name in self.former:
            self.former.remove(name)
            del self.means[name]

    @invariant()
    def the_catalog_agrees(self) -> None:
        self.did["steps"] += 1
        reply = self.house.http.get(f"{PETS}/images?limit=100")
        if not self.means and not self.labels and not self.removed:
            assert reply.status_code == 404
            return
        shown = {
            row["image"]: row["category"] and row["category"]["id"]
            for row in reply.json()["images"]
        }
        assert shown == {HASHES[image]: category for image, category in self.labels.items()}
        summary = self.house.client.dataset("pets")
        assert summary.images == len(self.labels)
        labels = list(self.labels.values())
        assert {c.id: (c.name, c.images) for c in summary.categories} == {
            category: (name, labels.count(category)) for category, name in self.shown.items()
        }

    @invariant()
    def nothing_acknowledged_is_lost_and_nothing_erased_is_there(self) -> None:
        for image in self.labels | self.removed:
            reply = self.house.http.get(f"{BASE}/images/{HASHES[image]}")
            if image in self.erased:
                assert reply.status_code == 404
            else:
                assert reply.content == IMAGES[image]

    @invariant()
    def snapshots_never_change(self) -> None:
        for snapshot, rows in self.frozen.items():
            value = self.house.client.snapshot(snapshot)
            assert sum(value.counts.values()) == len(rows)
            state = self.house.http.get(f"{BASE}/snapshots/{snapshot}/state").json()
            assert state["purged"] == self.marks[snapshot]


SETTINGS = settings(
    max_examples=200 if FULL else 12,
    stateful_step_count=30 if FULL else 20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_the_catalog_agrees_with_a_plain_model_whatever_is_done(
    tell: Callable[[str], None],
) -> None:
    did: Counter[str] = Counter()
    run_state_machine_as_test(lambda: Catalog(did), settings=SETTINGS)  # type: ignore[no-untyped-call]
    assert did["histories"] >= SETTINGS.max_examples
    tell(", ".join(f"{count} {what}" for what, count in did.items()) + ", all as in the model")
