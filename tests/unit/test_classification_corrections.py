"""Corrections on their way: to a real sensory service that is there, away, or in doubt."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

import classification_service
from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.adapters.outbox_tables import SqlCorrectionTables
from classification_service.adapters.sensory_labels import SensoryLabels
from classification_service.corrections import CorrectionDesk, CorrectionSender
from classification_service.history_ports import Outgoing, Record
from classification_service.recording import classified_blob, new_id
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.hosted_keys import open_keys
from commons.adapters.services import Caller, SensoryClient
from commons.adapters.table_queue import TableQueue
from commons.auth import CLASSIFICATION_SCOPES, KeyRequest
from commons.errors import ForbiddenError, NotFoundError, StorageFullError, UnavailableError
from commons.messages import Category
from sensory_service.app import MIGRATIONS, Platform, Settings, create_app
from tests.builders import png_bytes
from tests.memory_blobs import MemoryBlobs
from tests.sensory_house import ManualClock

OWN_MIGRATIONS = Path(classification_service.__file__).parent / "migrations"


class KilledError(BaseException):
    """The process is no more."""


@dataclass
class Road:
    """The way to the sensory service, where things may happen `before` and `after`."""

    labels: SensoryLabels
    before: Callable[[Outgoing], None] = lambda outgoing: None
    after: Callable[[Outgoing], None] = lambda outgoing: None
    sent: list[Outgoing] = field(default_factory=list)

    def send(self, outgoing: Outgoing, data: bytes) -> None:
        self.before(outgoing)
        self.labels.send(outgoing, data)
        self.sent.append(outgoing)
        self.after(outgoing)

    def has(self, outgoing: Outgoing) -> bool:
        self.before(outgoing)
        return self.labels.has(outgoing)


@dataclass
class Desk:
    """The history of a classification service beside a sensory service, on one clock."""

    clock: ManualClock
    history: SqlHistoryTables
    tables: SqlCorrectionTables
    blobs: MemoryBlobs
    road: Road
    sensory: SensoryClient

    def sender(self) -> CorrectionSender:
        """Return a new one, as in a process that was started again."""
        return CorrectionSender(self.tables, self.blobs, self.road, self.clock)

    def recorded(self, seed: int = 0, data: bytes | None = None) -> tuple[str, str]:
        """Record a classification; return its id and its image."""
        data = png_bytes(seed=seed) if data is None else data
        image, name = hashlib.sha256(data).hexdigest(), new_id(self.clock.now() - 100.0)
        self.blobs.put(classified_blob(image), data)
        answers = [(Category(id="c", name="cat"), 1.0)]
        self.history.add(
            [Record(name, image, "pets", "a" * 64, answers, 1.0, 0.0, 0.1, self.clock.now())]
        )
        return name, image

    def correct(self, name: str, category: str, who: str | None = "ada") -> None:
        self.clock.time += 1.0
        CorrectionDesk(self.tables, self.clock).correct(name, category, who)

    def state(self, name: str) -> str:
        return self.history.get(name).correction.state

    def told(self, image: str) -> list[tuple[str, str | None]]:
        """Return category and person of every label event that the sensory service has."""
        events = self.sensory.history("pets", image).events
        return [(one.category.name if one.category else "", one.who) for one in events]


@pytest.fixture(scope="module")
def sensory_app(tmp_path_factory: pytest.TempPathFactory):
    """Give one service to all tests, which use images of their own, and a key."""
    folder = tmp_path_factory.mktemp("sensory")
    database = create_database(sqlite_url(folder / "sensory.sqlite3"))
    migrate(database, MIGRATIONS)
    clock = ManualClock()
    keys = open_keys(sqlite_url(folder / "keys.sqlite3"), SystemClock(), "required")
    platform = Platform(database, FileBlobs(folder / "blobs"), TableQueue(database, clock), clock)
    app = create_app(Settings(data=folder), platform, keys, services={})
    made = keys.desk.create(KeyRequest(name="classification", scopes=CLASSIFICATION_SCOPES))
    return app, made.key, clock


@pytest.fixture
def desk(tmp_path: Path, sensory_app) -> Iterator[Desk]:
    app, key, clock = sensory_app
    database = create_database(sqlite_url(tmp_path / "classification.sqlite3"))
    migrate(database, OWN_MIGRATIONS)
    with httpx.Client(
        transport=httpx.WSGITransport(app),
        base_url="http://localhost",
        headers={"Authorization": f"Bearer {key}"},
    ) as http:
        caller = Caller(http, patience_s=0.01)
        yield Desk(
            clock,
            SqlHistoryTables(database),
            SqlCorrectionTables(database),
            MemoryBlobs(),
            Road(SensoryLabels(caller)),
            SensoryClient(caller),
        )


def failing(error: Exception, times: int) -> Callable[[Outgoing], None]:
    errors = [error] * times

    def fail(_: Outgoing) -> None:
        if errors:
            raise errors.pop()

    return fail


def test_a_correction_becomes_a_label_with_who_said_it(desk):
    name, image = desk.recorded(1)
    desk.correct(name, "dog")
    assert desk.sender().step() == 1
    assert desk.told(image) == [("dog", "ada via classification")]
    assert desk.state(name) == "sent"
    assert desk.sender().step() == 0


def test_an_image_that_the_dataset_has_gets_the_right_label(desk):
    name, image = desk.recorded(2)
    desk.sensory.upload("pets", [("a", png_bytes(seed=2))], "cat")
    desk.correct(name, "dog", who=None)
    desk.sender().step()
    assert desk.told(image) == [("cat", "classification"), ("dog", "classification")]


def test_of_two_corrections_the_later_one_counts(desk):
    name, image = desk.recorded(3)
    desk.correct(name, "dog")
    desk.correct(name, "eel", "bob")
    assert desk.sender().step() == 2
    assert desk.told(image) == [
        ("dog", "ada via classification"),
        ("eel", "bob via classification"),
    ]


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("it is down"),
        StorageFullError("its disk is full"),
        ForbiddenError("the key may not"),
        NotFoundError("what answers is something else"),
    ],
)
def test_what_cannot_be_sent_now_is_sent_later_and_less_and_less_often(desk, error, caplog):
    name, image = desk.recorded(4 + len(str(error)))
    desk.correct(name, "dog")
    fail, times = failing(error, 9), []
    desk.road.before = lambda outgoing: (times.append(desk.clock.now()), fail(outgoing))
    while desk.state(name) == "waiting":
        assert desk.tables.waiting() == 1
        desk.sender().step()
        desk.clock.time += 0.25
    pauses = [later - earlier for earlier, later in pairwise(times[:10])]
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60], abs=0.3)
    assert desk.told(image) == [("dog", "ada via classification")]
    assert caplog.text.count(str(error)) == 1


def test_one_that_is_away_is_not_asked_for_every_correction_that_waits(desk):
    for seed in range(50, 55):
        desk.correct(desk.recorded(seed)[0], "dog")
    fail, asked = failing(UnavailableError("it is down"), 5), []
    desk.road.before = lambda outgoing: (asked.append(outgoing), fail(outgoing))
    desk.sender().step()
    assert len(asked) == 1


def test_what_will_never_be_taken_is_refused_with_the_reason_and_the_next_one_goes(desk):
    bad, _ = desk.recorded(data=b"no picture at all")
    good, image = desk.recorded(60)
    desk.correct(bad, "dog")
    desk.correct(good, "dog")
    assert desk.sender().step() == 2
    correction = desk.history.get(bad).correction
    assert correction.state == "refused"
    assert "expected an image" in correction.reason
    assert desk.told(image) == [("dog", "ada via classification")]


def test_a_correction_whose_image_is_gone_is_refused(desk):
    name, image = desk.recorded(61)
    desk.correct(name, "dog")
    desk.blobs.delete(classified_blob(image))
    desk.sender().step()
    assert desk.history.get(name).correction.reason == f"the bytes of image {image} are gone"


def kill(_: Outgoing) -> None:
    raise KilledError


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_sender_that_is_killed_leaves_one_label_event_all_the_same(desk, moment):
    name, image = desk.recorded(70 + len(moment))
    desk.correct(name, "dog")
    setattr(desk.road, moment, kill)
    with pytest.raises(KilledError):
        desk.sender().step()
    setattr(desk.road, moment, lambda outgoing: None)
    assert desk.sender().step() == 0, "it may still be under way"
    desk.clock.time += 20.0
    assert desk.sender().step() == 1
    assert desk.told(image) == [("dog", "ada via classification")]
    assert desk.state(name) == "sent"


def test_what_was_said_after_a_sender_was_killed_is_not_said_over(desk):
    name, image = desk.recorded(80)
    desk.correct(name, "dog")
    desk.road.after = kill
    with pytest.raises(KilledError):
        desk.sender().step()
    desk.road.after = lambda outgoing: None
    desk.sensory.label("pets", image, "eel")
    desk.clock.time += 20.0
    assert desk.sender().step() == 1
    assert desk.told(image) == [("dog", "ada via classification"), ("eel", "classification")]


def test_what_the_same_person_said_before_is_not_taken_for_what_is_sent_now(desk):
    name, image = desk.recorded(81)
    for category in ("dog", "eel"):
        desk.correct(name, category)
        desk.sender().step()
    desk.correct(name, "dog")
    desk.road.before = failing(UnavailableError("down"), 1)
    desk.sender().step()
    desk.clock.time += 2.0
    assert desk.sender().step() == 1
    assert [category for category, _ in desk.told(image)] == ["dog", "eel", "dog"]


def test_what_is_not_recorded_cannot_be_corrected(desk):
    with pytest.raises(NotFoundError) as caught:
        desk.correct(new_id(desk.clock.now() - 100.0), "dog")
    assert caught.value.kind == "unknown-classification"
    with pytest.raises(NotFoundError) as caught:
        desk.correct(new_id(desk.clock.now()), "dog")
    assert caught.value.kind == "not-recorded-yet"
