"""What every implementation of the history's and the corrections' tables must do."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event

import classification_service
from classification_service.adapters.history_schema import METADATA
from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.adapters.outbox_tables import SqlCorrectionTables
from classification_service.history_ports import HistoryFilter, Record
from commons.adapters.database import (
    create_database,
    migrate,
    reading,
    sqlite_url,
    version_table,
)
from commons.errors import InvalidInputError, NotFoundError
from commons.messages import Category
from tests.databases import database_urls, opened_database

MIGRATIONS = Path(classification_service.__file__).parent / "migrations"
ALL = HistoryFilter()
DARK, BRIGHT = Category(id="c0", name="dark"), Category(id="c1", name="bright")


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        yield database


@pytest.fixture
def tables(database: sqlalchemy.Engine) -> SqlHistoryTables:
    return SqlHistoryTables(database)


@pytest.fixture
def corrections(database: sqlalchemy.Engine) -> SqlCorrectionTables:
    return SqlCorrectionTables(database)


def name(number: int) -> str:
    return f"{number:028x}"


def record(number: int, **changes: object) -> Record:
    fields: dict[str, object] = {
        "id": name(number),
        "image": f"{number:064x}",
        "dataset": "digits",
        "network": "a" * 64,
        "answers": [(BRIGHT, 0.75), (DARK, 0.25)],
        "margin": 0.5,
        "entropy": 0.1,
        "seconds": 0.002,
        "at": 1000.0 + number,
    }
    return Record(**{**fields, **changes})


def shown(tables, which=ALL, order="newest", limit=2) -> list[int]:
    """Return what all pages show, as numbers."""
    seen, cursor = [], None
    while True:
        page = tables.page(which, order, cursor, limit)
        assert len(page.classifications) <= limit
        seen += [int(one.id, 16) for one in page.classifications]
        cursor = page.cursor
        if cursor is None:
            return seen


class Dropped(list):
    """The images that were dropped."""

    def __call__(self, images) -> None:
        self.extend(int(image, 16) for image in images)


def test_the_tables_are_those_that_the_code_knows(database):
    with reading(database) as connection:
        options = {"version_table": version_table(database, MIGRATIONS)}
        context = MigrationContext.configure(connection, opts=options)
        found = [str(one) for one in compare_metadata(context, METADATA)]
    ours = [line for line in found if "'classification'" in line or "'correction'" in line]
    assert ours == []


def test_a_classification_comes_back_as_it_went_in(tables):
    tables.add([record(7)])
    found = tables.get(name(7))
    answers = [(one.category, one.probability) for one in found.answers]
    assert answers == [(BRIGHT, 0.75), (DARK, 0.25)]
    assert (found.image, found.network) == (f"{7:064x}", "a" * 64)
    facts = (found.margin, found.entropy, found.seconds, found.at, found.correction)
    assert facts == (0.5, 0.1, 0.002, 1007.0, None)


def test_names_that_no_column_takes_are_recorded_all_the_same(tables):
    odd = Category(id="c", name="x\x00" + "y" * 200)
    tables.add([record(1, answers=[(odd, 1.0)])])
    assert tables.get(name(1)).answers[0].category == odd


def test_an_unknown_one_is_not_found(tables):
    with pytest.raises(NotFoundError):
        tables.get(name(1))


def test_pages_are_newest_first_and_nothing_that_comes_meanwhile_moves_them(tables):
    tables.add([record(number) for number in range(5)])
    first = tables.page(ALL, "newest", None, 2)
    tables.add([record(9)])
    rest = tables.page(ALL, "newest", first.cursor, 10)
    assert [int(one.id, 16) for one in first.classifications] == [4, 3]
    assert [int(one.id, 16) for one in rest.classifications] == [2, 1, 0]
    assert rest.cursor is None


def test_the_uncertain_come_first_where_they_are_asked_for(tables):
    margins = [0.5, 0.1, 0.9, 0.1, 0.0]
    tables.add([record(i, margin=margin, entropy=1 - margin) for i, margin in enumerate(margins)])
    assert shown(tables, order="uncertain") == [4, 1, 3, 0, 2]
    assert shown(tables, order="entropy") == [4, 3, 1, 0, 2]


def test_what_is_no_cursor_is_refused(tables):
    for order in ("newest", "uncertain", "entropy"):
        for cursor in ("", "x", "-1", "1:2:3", "nan:1", "inf:1", "1e999:1", "9" * 30):
            with pytest.raises(InvalidInputError, match="cursor"):
                tables.page(ALL, order, cursor, 1)


def test_a_cursor_of_another_order_is_refused(tables):
    tables.add([record(number) for number in range(3)])
    newest = tables.page(ALL, "newest", None, 1).cursor
    uncertain = tables.page(ALL, "uncertain", None, 1).cursor
    with pytest.raises(InvalidInputError):
        tables.page(ALL, "uncertain", newest, 1)
    with pytest.raises(InvalidInputError):
        tables.page(ALL, "newest", uncertain, 1)


def test_every_filter_narrows(tables, corrections):
    tables.add(
        [
            record(0),
            record(1, dataset="pets"),
            record(2, network="b" * 64),
            record(3, answers=[(DARK, 0.5), (BRIGHT, 0.5)]),
            record(4, answers=[(BRIGHT, 0.9), (DARK, 0.1)]),
        ]
    )
    corrections.add(name(0), "dark", "ada", 1.0)
    for which, expected in [
        (HistoryFilter(dataset="digits"), [4, 3, 2, 0]),
        (HistoryFilter(network="b" * 64), [2]),
        (HistoryFilter(category="dark"), [3]),
        (HistoryFilter(min_confidence=0.75), [4, 2, 1, 0]),
        (HistoryFilter(max_confidence=0.75), [3]),
        (HistoryFilter(since=1003.0), [4, 3]),
        (HistoryFilter(until=1001.0), [0]),
        (HistoryFilter(corrected=True), [0]),
        (HistoryFilter(corrected=False), [4, 3, 2, 1]),
        (HistoryFilter(dataset="digits", category="bright", corrected=False), [4, 2]),
    ]:
        assert shown(tables, which) == expected, which
        assert sorted(shown(tables, which, "uncertain")) == sorted(expected), which


def test_an_image_is_dropped_with_the_last_row_that_needs_it(tables):
    same = f"{0:064x}"
    tables.add([record(0), record(1, image=same), record(2)])
    dropped = Dropped()
    assert tables.remove(id=name(0), drop=dropped) == 1
    assert dropped == []
    assert tables.remove(id=name(1), drop=dropped) == 1
    assert dropped == [0]
    assert tables.remove(id=name(1), drop=dropped) == 0
    assert shown(tables) == [2]


def test_all_of_an_image_go_with_their_corrections(tables, corrections):
    same = f"{0:064x}"
    tables.add([record(0), record(1, image=same), record(2)])
    corrections.add(name(1), "dark", "ada", 1.0)
    dropped = Dropped()
    assert tables.remove(image=same, drop=dropped) == 2
    assert (dropped, shown(tables)) == ([0], [2])
    assert corrections.take(5.0, 60.0) is None


def test_what_cannot_be_dropped_stays_recorded(tables):
    tables.add([record(0)])

    def fail(images):
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        tables.remove(id=name(0), drop=fail)
    assert shown(tables) == [0]


def test_what_is_too_old_or_too_much_expires_oldest_first(tables):
    tables.add([record(number) for number in range(6)])
    dropped = Dropped()
    assert tables.expire(before=0.0, most=6, limit=10, drop=dropped) == 0
    assert tables.expire(before=1002.0, most=6, limit=10, drop=dropped) == 2
    assert tables.expire(before=0.0, most=2, limit=1, drop=dropped) == 1
    assert tables.expire(before=0.0, most=2, limit=10, drop=dropped) == 1
    assert (shown(tables), dropped) == ([5, 4], [0, 1, 2, 3])
    assert tables.expire(before=0.0, most=0, limit=10, drop=dropped) == 2


def test_what_has_a_correction_on_its_way_does_not_expire(tables, corrections):
    tables.add([record(number) for number in range(3)])
    corrections.add(name(0), "dark", None, 1.0)
    taken = corrections.take(5.0, 60.0)
    assert tables.expire(before=9999.0, most=0, limit=10, drop=Dropped()) == 2
    assert shown(tables) == [0]
    corrections.settle(taken.number, "sent")
    assert tables.expire(before=9999.0, most=0, limit=10, drop=Dropped()) == 1


def test_images_without_a_row_are_dropped(tables):
    tables.add([record(number) for number in range(3)])
    images, dropped = [f"{number:064x}" for number in (0, 2)], Dropped()
    assert tables.drop_unrecorded(images, dropped) == 0
    assert tables.drop_unrecorded([*images, f"{5:064x}"], dropped) == 1
    assert tables.drop_unrecorded([], dropped) == 0
    assert (dropped, shown(tables)) == ([5], [2, 1, 0])


def test_while_rows_go_none_are_added(tables):
    """A recorder may rely on it: what it adds after its image went finds that out."""
    tables.add([record(0)])
    order, dropping = [], threading.Event()

    def drop(images):
        dropping.set()
        # An addition that did not wait would be done long before.
        threading.Event().wait(0.3)
        order.append("dropped")

    with ThreadPoolExecutor(1) as pool:
        removing = pool.submit(tables.remove, id=name(0), drop=drop)
        assert dropping.wait(10.0)
        tables.add([record(1)])
        order.append("added")
        removing.result()
    assert order == ["dropped", "added"]


def test_a_correction_is_shown_and_the_same_again_is_none(tables, corrections):
    tables.add([record(0)])
    first, is_new = corrections.add(name(0), "dark", "ada", 5.0)
    assert is_new
    assert tables.get(name(0)).correction == first
    assert (first.category, first.who, first.at, first.state) == ("dark", "ada", 5.0, "waiting")
    assert corrections.add(name(0), "dark", "bob", 6.0) == (first, False)
    second, is_new = corrections.add(name(0), "bright", "bob", 7.0)
    assert is_new
    assert tables.get(name(0)).correction == second
    assert corrections.waiting() == 2


def test_what_is_not_recorded_cannot_be_corrected(corrections):
    with pytest.raises(NotFoundError):
        corrections.add(name(0), "dark", "ada", 5.0)
    assert corrections.waiting() == 0


def test_a_correction_is_in_one_hand_until_its_lease_is_over(tables, corrections):
    tables.add([record(0)])
    corrections.add(name(0), "dark", "ada", 5.0)
    taken = corrections.take(6.0, 60.0)
    assert (taken.image, taken.dataset, taken.category) == (f"{0:064x}", "digits", "dark")
    assert (taken.who, taken.at, taken.attempt) == ("ada", 5.0, 1)
    assert corrections.take(65.0, 60.0) is None
    assert corrections.take(66.0, 60.0).attempt == 2
    corrections.settle(taken.number, "sent")
    assert corrections.take(1e9, 60.0) is None
    assert tables.get(name(0)).correction.state == "sent"


def test_of_many_senders_one_gets_a_correction(tables, corrections):
    tables.add([record(number) for number in range(8)])
    for number in range(8):
        corrections.add(name(number), "dark", "ada", 5.0)

    def take_all(_):
        taken = []
        while (one := corrections.take(6.0, 60.0)) is not None:
            taken.append(one.number)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [one for some in pool.map(take_all, range(4)) for one in some]
    assert len(taken) == len(set(taken)) == 8


def test_corrections_of_an_image_are_sent_in_their_order(tables, corrections):
    tables.add([record(0), record(1)])
    corrections.add(name(0), "dark", "ada", 5.0)
    corrections.add(name(0), "bright", "ada", 6.0)
    corrections.add(name(1), "dark", "ada", 7.0)
    first, other = corrections.take(8.0, 60.0), corrections.take(8.0, 60.0)
    assert (first.category, other.image) == ("dark", f"{1:064x}")
    assert corrections.take(8.0, 60.0) is None
    corrections.postpone(first.number, 20.0, "nobody is there")
    assert tables.get(name(0)).correction.category == "bright"
    assert corrections.take(19.0, 60.0) is None
    assert corrections.take(20.0, 60.0).number == first.number
    corrections.settle(first.number, "sent")
    assert corrections.take(20.0, 60.0).category == "bright"


def test_what_was_refused_says_why_and_may_be_said_again(tables, corrections):
    tables.add([record(0)])
    corrections.add(name(0), "dark", "ada", 5.0)
    corrections.settle(corrections.take(6.0, 60.0).number, "refused", "no such dataset")
    found = tables.get(name(0)).correction
    assert (found.state, found.reason) == ("refused", "no such dataset")
    _, is_new = corrections.add(name(0), "dark", "ada", 7.0)
    assert is_new


def test_to_settle_what_was_removed_is_no_error(tables, corrections):
    tables.add([record(0)])
    corrections.add(name(0), "dark", "ada", 5.0)
    taken = corrections.take(6.0, 60.0)
    tables.remove(id=name(0), drop=Dropped())
    corrections.settle(taken.number, "sent")
    corrections.postpone(taken.number, 1.0, "x")
    assert corrections.waiting() == 0


@pytest.mark.parametrize(
    ("which", "order", "index"),
    [
        (HistoryFilter(dataset="digits"), "newest", "by_dataset"),
        (HistoryFilter(dataset="digits", category="dark"), "newest", "by_category"),
        (HistoryFilter(dataset="digits", corrected=False), "uncertain", "by_margin"),
        (HistoryFilter(dataset="digits"), "entropy", "by_entropy"),
        (ALL, "newest", "INTEGER PRIMARY KEY"),
    ],
)
def test_a_page_is_a_range_of_an_index_and_nothing_is_sorted(tmp_path, which, order, index):
    """On SQLite, which says how it answers whatever the tables hold."""
    database = create_database(sqlite_url(tmp_path / "plan.sqlite3"))
    migrate(database, MIGRATIONS)
    tables, asked = SqlHistoryTables(database), []
    tables.add([record(number) for number in range(3)])
    cursor = tables.page(which._replace(category=None), order, None, 1).cursor

    def note(_connection, _cursor, statement, parameters, *_):
        asked.append((statement, parameters))

    event.listen(database, "before_cursor_execute", note)
    tables.page(which, order, cursor, 2)
    event.remove(database, "before_cursor_execute", note)
    (found,) = [one for one in asked if "SELECT" in one[0]]
    with reading(database) as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {found[0]}", found[1])
        plan = [row[3] for row in rows]
    assert index in plan[0]
    assert not any("TEMP B-TREE" in step for step in plan)
