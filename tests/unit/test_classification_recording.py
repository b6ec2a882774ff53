"""Recording beside the hot path: what is taken, what is written, what is too much."""

import hashlib
import logging
import math
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.history_ports import HistoryFilter, Record
from classification_service.recording import BatchRecorder, classified_blob, new_id, recorded_at
from commons.adapters.database import create_database, sqlite_url
from commons.errors import StorageFullError, UnavailableError
from commons.messages import Category
from tests.memory_blobs import MemoryBlobs
from tests.sensory_house import ManualClock

CATEGORIES = [Category(id=f"c{i}", name=name) for i, name in enumerate("abcdefg")]
PATIENCE_S = 20.0


class Rows:
    """`HistoryTables.add` that remembers batches, and may be told to wait or to fail first."""

    def __init__(self, errors: Sequence[Exception] = ()) -> None:
        self.batches: list[list[Record]] = []
        self.errors = list(errors)
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.adding: Callable[[], object] = lambda: None
        self.added: Callable[[], object] = lambda: None

    def add(self, records: Sequence[Record]) -> None:
        self.entered.set()
        assert self.free.wait(PATIENCE_S)
        if self.errors:
            raise self.errors.pop(0)
        self.adding()
        self.batches.append(list(records))
        self.added()

    def drop_unrecorded(self, images: Sequence[str], drop: Callable[[Sequence[str]], None]) -> int:
        lost = [one for one in images if one not in {record.image for record in self.records}]
        drop(lost)
        return len(lost)

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch]


class Desk:
    """A recorder and all that it stands on."""

    def __init__(self, rows: Rows | None = None, share: float = 1.0, **options: object) -> None:
        self.rows, self.blobs, self.counted = rows or Rows(), MemoryBlobs(), Counter[str]()
        draw = np.random.default_rng(7).random
        self.recorder = BatchRecorder(
            self.rows, self.blobs, ManualClock(), share, draw, self._count, pause_s=0.0, **options
        )

    def _count(self, event: str, label: str, times: int) -> None:
        assert event == "recording"
        self.counted[label] += times

    def offer(self, data: bytes = b"picture", probabilities: Sequence[float] = (0.75, 0.25)):
        return self.recorder.offer(
            data=data,
            image=hashlib.sha256(data).hexdigest(),
            dataset="digits",
            network="a" * 64,
            categories=CATEGORIES,
            probabilities=np.array(probabilities, np.float32),
            seconds=0.001,
        )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_is_taken_is_recorded_with_its_image_and_its_id():
    desk = Desk()
    name = desk.offer(b"one")
    desk.recorder.close()
    (record,) = desk.rows.records
    sha256 = hashlib.sha256(b"one").hexdigest()
    assert (record.id, record.image, record.dataset) == (name, sha256, "digits")
    assert record.answers == [(CATEGORIES[0], 0.75), (CATEGORIES[1], 0.25)]
    assert desk.blobs.held == {classified_blob(sha256): b"one"}
    assert desk.counted == {"kept": 1}


def test_an_id_says_when_it_was_made_and_is_never_the_same():
    made = {new_id(1_700_000_000.123) for _ in range(1000)}
    assert len(made) == 1000
    assert {recorded_at(one) for one in made} == {1_700_000_000.123}


@pytest.mark.parametrize(
    ("probabilities", "margin", "entropy"),
    [
        ([0.75, 0.25], 0.5, -0.75 * math.log(0.75) - 0.25 * math.log(0.25)),
        ([0.0, 1.0], 1.0, 0.0),
        ([1.0], 1.0, 0.0),
        ([0.25] * 4, 0.0, math.log(4)),
    ],
)
def test_how_uncertain_an_answer_is_comes_from_all_probabilities(probabilities, margin, entropy):
    desk = Desk()
    desk.offer(probabilities=probabilities)
    desk.recorder.close()
    (record,) = desk.rows.records
    assert record.margin == pytest.approx(margin)
    assert record.entropy == pytest.approx(entropy)
    assert math.copysign(1.0, record.entropy) == 1.0


def test_the_most_probable_five_are_kept_in_their_order():
    desk = Desk()
    desk.offer(probabilities=[0.1, 0.3, 0.1, 0.2, 0.05, 0.15, 0.1])
    desk.recorder.close()
    (record,) = desk.rows.records
    assert [category.name for category, _ in record.answers] == ["b", "d", "f", "a", "c"]


def test_nothing_is_taken_with_a_share_of_none_and_no_thread_begins():
    desk, before = Desk(share=0.0), threading.active_count()
    assert [desk.offer() for _ in range(100)] == [None] * 100
    assert threading.active_count() == before
    desk.recorder.close()
    assert desk.counted == {}


def test_the_share_is_that_of_all_and_the_same_for_the_same_seed():
    taken = []
    for _ in range(2):
        desk = Desk(share=0.25)
        taken.append([number for number in range(1000) if desk.offer() is not None])
        desk.recorder.close()
        assert len(desk.rows.records) == len(taken[-1])
    assert taken[0] == taken[1]
    assert 200 < len(taken[0]) < 300


def test_what_finds_the_queue_full_is_counted_and_nobody_waits():
    rows = Rows()
    rows.free.clear()
    desk = Desk(rows, most=3)
    desk.offer()
    assert rows.entered.wait(PATIENCE_S)  # the first is being written, the queue is empty
    assert [desk.offer() is None for _ in range(5)] == [False, False, False, True, True]
    rows.free.set()
    desk.recorder.close()
    assert (len(rows.records), desk.counted) == (4, {"kept": 4, "dropped": 2})


def test_the_bytes_that_wait_are_bounded_too():
    rows = Rows()
    rows.free.clear()
    desk = Desk(rows, most_bytes=10)
    assert desk.offer(b"x" * 11) is None
    desk.offer()
    assert rows.entered.wait(PATIENCE_S)
    assert desk.offer(b"x" * 6) is not None
    assert desk.offer(b"x" * 6) is None
    assert desk.offer(b"x" * 4) is not None
    rows.free.set()
    desk.recorder.close()
    assert len(rows.records) == 3


def test_what_waits_is_written_together():
    rows = Rows()
    rows.free.clear()
    desk = Desk(rows)
    desk.offer()
    assert rows.entered.wait(PATIENCE_S)
    for number in range(20):
        desk.offer(bytes([number]))
    rows.free.set()
    desk.recorder.close()
    assert [len(batch) for batch in rows.batches] == [1, 20]


def test_offers_from_many_threads_are_all_recorded_once():
    desk = Desk(most=100_000)
    names: list[list[str | None]] = [[] for _ in range(8)]
    threads = [
        threading.Thread(target=lambda own=own: own.extend(desk.offer() for _ in range(200)))
        for own in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.recorder.close()
    offered = [name for own in names for name in own]
    assert sorted(record.id for record in desk.rows.records) == sorted(offered)
    assert len(desk.blobs.held) == 1


def test_what_the_tables_cannot_take_now_is_recorded_when_they_can(caplog):
    rows = Rows([UnavailableError("away")])
    desk = Desk(rows)
    desk.offer()
    until(lambda: len(rows.records) == 1)
    desk.recorder.close()
    assert desk.counted == {"kept": 1}
    assert caplog.text.count("away") == 1


@pytest.mark.parametrize("error", [StorageFullError("no room"), ValueError("a bug")])
def test_what_cannot_be_recorded_at_all_is_counted_and_the_next_one_is(error, caplog):
    rows = Rows([error])
    desk = Desk(rows)
    desk.offer(b"first")
    until(lambda: desk.counted["lost"] == 1)
    desk.offer(b"second")
    desk.recorder.close()
    assert [record.image for record in rows.records] == [hashlib.sha256(b"second").hexdigest()]
    assert [one.levelno for one in caplog.records] == [logging.ERROR]


def test_what_is_no_probability_is_lost_alone(caplog):
    rows = Rows()
    rows.free.clear()
    desk = Desk(rows)
    desk.offer(b"before")
    assert rows.entered.wait(PATIENCE_S)
    desk.offer(b"first")
    desk.offer(b"bad", [math.nan, math.nan])
    desk.offer(b"second")
    rows.free.set()
    desk.recorder.close()
    images = [hashlib.sha256(data).hexdigest() for data in (b"before", b"first", b"second")]
    assert [record.image for record in rows.records] == images
    assert desk.counted == {"kept": 3, "lost": 1}
    assert len(desk.blobs.held) == 3


def test_an_image_that_went_with_its_last_row_meanwhile_is_put_back():
    rows = Rows()
    desk = Desk(rows)
    (name,) = (classified_blob(hashlib.sha256(data).hexdigest()) for data in (b"one",))
    desk.blobs.put(name, b"one")
    rows.adding = lambda: desk.blobs.delete(name)  # by who removed rows just before
    desk.offer(b"one")
    desk.recorder.close()
    assert desk.blobs.held == {name: b"one"}


def test_an_image_whose_own_row_went_meanwhile_is_not_put_back():
    rows = Rows()
    desk = Desk(rows)
    rows.added = lambda: (rows.batches.clear(), desk.blobs.held.clear())
    desk.offer(b"one")
    desk.recorder.close()
    assert desk.counted == {"kept": 1}
    assert desk.blobs.held == {}


def test_closing_records_what_was_taken_and_takes_nothing_more():
    rows = Rows()
    desk = Desk(rows)
    for number in range(50):
        desk.offer(bytes([number]))
    desk.recorder.close()
    assert len(rows.records) == 50
    assert desk.offer() is None
    desk.recorder.close()


def test_closing_does_not_wait_for_tables_that_are_away():
    rows = Rows([UnavailableError("away")] * 1000)
    desk = Desk(rows)
    desk.offer()
    until(lambda: len(rows.errors) < 1000)
    desk.recorder.close()
    assert desk.counted == {"lost": 1}


_PROGRAM = """
import multiprocessing, sys
from pathlib import Path
import numpy as np
from classification_service.app import Settings, create_service
from commons.messages import Category

def offer(data: Path) -> None:
    service = create_service(Settings(data=data, record_share=1.0))
    for number in range(50):
        name = service.recorder.offer(
            data=b"x", image=f"{number:064x}", dataset="digits", network="a" * 64,
            categories=[Category(id="c", name="cat")],
            probabilities=np.array([1.0], np.float32), seconds=0.1,
        )
        assert name is not None

child = multiprocessing.get_context("fork").Process(target=offer, args=(Path(sys.argv[1]),))
child.start()
child.join()
offer(Path(sys.argv[1]))
"""


def test_a_process_that_ends_records_first_what_it_took(tmp_path):
    subprocess.run([sys.executable, "-c", _PROGRAM, str(tmp_path)], check=True)
    tables = SqlHistoryTables(create_database(sqlite_url(tmp_path / "classification.sqlite3")))
    found = tables.page(HistoryFilter(), "newest", None, 1000).classifications
    assert [int(one.image, 16) for one in found] == [*range(49, -1, -1)] * 2
