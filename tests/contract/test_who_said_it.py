"""Who did what to an image, from the key to the history and the filter; on every database."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy
from sqlalchemy import event

from commons.adapters.clock import SystemClock
from commons.adapters.database import migrate, sqlite_url
from commons.adapters.hosted_keys import open_keys
from commons.adapters.table_queue import TableQueue
from commons.auth import KeyRequest
from commons.messages import Category
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.app import MIGRATIONS, Platform, Settings, create_app
from sensory_service.ports import Filter, ImageRecord, Upload
from tests.archive_builders import tar_bytes
from tests.builders import png_bytes, png_files
from tests.databases import database_urls, opened_database
from tests.memory_blobs import MemoryBlobs
from tests.sensory_house import BASE, ManualClock

PETS = f"{BASE}/datasets/pets"
PEOPLE = ("ada", "bob")


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        yield database


@dataclass
class Office:
    """A service that asks everybody for a key, and one client a person."""

    clock: ManualClock
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def ask(self, who: str, method: str, path: str, **options: Any) -> Any:
        """Return the answer to a person, a second after the one before."""
        self.clock.time += 1.0
        reply = self.clients[who].request(method, path, **options)
        assert reply.is_success, reply.text
        return reply.json() if reply.content else None

    def send(self, who: str, seed: int, category: str | None = None) -> str:
        """Send an image as a person, and return its hash."""
        query = {"category": category} if category else {}
        data = png_bytes(seed=seed)
        image: str = self.ask(who, "POST", f"{PETS}/images", params=query, content=data)["image"]
        return image

    def relabel(self, who: str, image: str, category: str | None) -> None:
        path = f"{PETS}/images/{image}/label"
        self.ask(who, "PUT", path, json={"category": category})

    def told(self, image: str) -> list[tuple[str, str | None, str | None]]:
        """Return kind, category and person of the events of an image, which are in order."""
        events = self.ask("ada", "GET", f"{PETS}/images/{image}/history")["events"]
        assert [one["at"] for one in events] == sorted(one["at"] for one in events)
        return [(e["kind"], e["category"] and e["category"]["name"], e["who"]) for e in events]

    def found(self, **which: Any) -> list[str]:
        """Return the images of a filter, by pages of two; they say what the filter says."""
        seen, cursor = [], None
        while True:
            query = which | {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = self.ask("ada", "GET", f"{PETS}/images", params=query)
            seen += page["images"]
            cursor = page["cursor"]
            if cursor is None:
                break
        assert {row["who"] for row in seen} <= {which.get("who", row["who"]) for row in seen}
        return [row["image"] for row in seen]


@pytest.fixture
def office(database: sqlalchemy.Engine, tmp_path: Path) -> Iterator[Office]:
    office = Office(ManualClock(1000.0))
    keys = open_keys(sqlite_url(tmp_path / "keys.sqlite3"), SystemClock(), "required")
    platform = Platform(database, MemoryBlobs(), TableQueue(database, office.clock), office.clock)
    app = create_app(Settings(data=tmp_path), platform, keys, services={})
    for name in PEOPLE:
        made = keys.desk.create(KeyRequest(name=name, scopes=("sensory:read", "sensory:write")))
        office.clients[name] = httpx.Client(
            transport=httpx.WSGITransport(app),
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {made.key}"},
        )
    yield office
    for client in office.clients.values():
        client.close()


def test_the_history_knows_who_sent_an_image_labeled_or_not(office: Office) -> None:
    labeled, unlabeled = office.send("ada", 1, "cat"), office.send("bob", 2)
    files = [("files", file) for file in png_files(2, seed=3)]
    form = office.ask("bob", "POST", f"{PETS}/images", files=files)["stored"]
    assert office.told(labeled) == [("labeled", "cat", "ada")]
    assert office.told(unlabeled) == [("added", None, "bob")]
    assert [office.told(one["image"]) for one in form] == [[("added", None, "bob")]] * 2


def test_the_history_knows_who_imported_an_image(office: Office) -> None:
    archive = tar_bytes([(f"cat/{name}", data) for name, data in png_files(2)])
    office.clients["bob"].post(f"{PETS}/imports", content=archive).raise_for_status()
    (first, second) = office.found(who="bob")
    assert office.told(first) == office.told(second) == [("labeled", "cat", "bob")]


def test_a_service_that_passes_on_what_somebody_said_is_named_beside_them(office: Office) -> None:
    def passed_on(who: str | None, caller: str = "bob") -> None:
        query = {"category": "cat"} | ({"who": who} if who is not None else {})
        data = png_bytes(seed=7)
        office.ask(caller, "POST", f"{PETS}/images", params=query, content=data)
        office.relabel("ada", image, None)

    image = office.send("ada", 7)
    claims = [None, "", "cem", "ada", "ada via cem", "x\ny", "z" * 120]
    for claim in claims:
        passed_on(claim)
    told = [who for kind, category, who in office.told(image) if category == "cat"]
    assert told == [
        "bob",
        "bob",
        "cem via bob",
        "ada via bob",
        "ada via cem via bob",
        "x\ufffdy via bob",
        "z" * 112 + " via bob",
    ]
    assert max(map(len, told)) == 120


def test_a_form_is_signed_in_the_same_way(office: Office) -> None:
    files = [("files", file) for file in png_files(2, seed=8)]
    stored = office.ask("bob", "POST", f"{PETS}/images?who=cem&category=cat", files=files)
    told = [office.told(one["image"]) for one in stored["stored"]]
    assert told == [[("labeled", "cat", "cem via bob")]] * 2
    assert office.found(who="cem via bob")
    assert office.found(who="cem") == []


def test_the_history_knows_who_said_each_label(office: Office) -> None:
    image = office.send("ada", 1)
    office.send("bob", 1, "cat")
    office.relabel("ada", image, "dog")
    office.relabel("bob", image, "dog")  # the same again is no event
    office.relabel("bob", image, None)
    office.ask("ada", "DELETE", f"{PETS}/images/{image}")
    office.send("bob", 1)
    assert office.told(image) == [
        ("added", None, "ada"),
        ("labeled", "cat", "bob"),
        ("labeled", "dog", "ada"),
        ("labeled", None, "bob"),
        ("removed", None, "ada"),
        ("restored", None, "bob"),
    ]


def test_who_finds_the_images_whose_latest_event_is_by_that_person(office: Office) -> None:
    kept, labeled, unlabeled, taken, merged, back = (
        office.send("ada", seed, category)
        for seed, category in enumerate(["cat", None, None, "cat", "kitty", "cat"])
    )
    assert office.found(who="ada") == [back, merged, taken, unlabeled, labeled, kept]
    assert office.found(who="bob") == []

    office.send("bob", 0, "cat")  # nothing that ada did not say
    office.send("bob", 2)
    assert office.found(who="bob") == []

    office.send("bob", 1, "cat")
    office.relabel("bob", taken, None)
    names = office.ask("ada", "GET", PETS)["categories"]
    cat, kitty = (next(c["id"] for c in names if c["name"] == name) for name in ("cat", "kitty"))
    office.ask("bob", "POST", f"{PETS}/categories/{kitty}/merge", json={"into": cat})
    office.ask("bob", "DELETE", f"{PETS}/images/{back}")
    assert office.found(who="ada") == [unlabeled, kept]
    assert office.found(who="bob") == [merged, taken, labeled]
    office.send("bob", 5)
    assert office.found(who="bob") == [back, merged, taken, labeled]

    assert office.found(who="bob", labeled=False) == [taken]
    assert office.found(who="bob", labeled=True) == [back, merged, labeled]
    assert office.found(who="ada", labeled=False) == [unlabeled]
    assert office.found(who="ada", category="cat") == [kept]
    assert office.found(who="bob", category="kitty") == [back, merged, labeled]
    assert office.found(who="cem") == []
    summary = office.ask("ada", "GET", PETS)
    assert (summary["images"], summary["labeled"]) == (6, 4)


def test_browsing_says_who_and_when(office: Office) -> None:
    image = office.send("ada", 1)

    def shown() -> tuple[str, float, float]:
        (row,) = office.ask("ada", "GET", f"{PETS}/images")["images"]
        return row["who"], row["added"], row["changed"]

    added = office.clock.time
    assert shown() == ("ada", added, added)
    office.relabel("bob", image, "cat")
    labeled = office.clock.time
    assert shown() == ("bob", added, labeled)
    office.ask("ada", "POST", f"{PETS}/images?split=test", content=png_bytes(seed=1))
    assert shown() == ("bob", added, labeled), "a split is no event"
    assert office.found(since=labeled) == [image]
    assert office.found(since=labeled + 0.5) == []


@pytest.mark.parametrize("label", [None, Category(id="c", name="cat")])
def test_the_statements_of_an_upload_are_as_many_for_one_image_as_for_hundreds(
    database: sqlalchemy.Engine, label: Category | None
) -> None:
    tables, asked = ImageTables(database), 0

    def count(*_: object) -> None:
        nonlocal asked
        asked += 1

    def statements(first: int, number: int) -> int:
        nonlocal asked
        images = [
            ImageRecord(f"{one:064x}", "PNG", 8, 9, 1, 100) for one in range(first, first + number)
        ]
        asked = 0
        tables.record(Upload("pets", images, label, None, 2.0, "ada"))
        return asked

    statements(0, 1)  # makes the dataset and the category
    event.listen(database, "before_cursor_execute", count)
    assert statements(1, 1) == statements(2, 500) > 0
    event.remove(database, "before_cursor_execute", count)
    assert len(tables.browse(Filter("pets", who="ada"), None, 1000).images) == 502
