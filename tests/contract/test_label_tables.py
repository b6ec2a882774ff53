"""What the tables promise of many decisions at once; on every database of `tests.databases`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy

from commons.adapters.database import migrate
from commons.errors import NotFoundError
from commons.label_messages import LabelsReply
from commons.messages import Category
from sensory_service.adapters.dataset_tables import DatasetTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.label_tables import LabelTables
from sensory_service.app import MIGRATIONS
from sensory_service.ports import Choice, Filter, ImageRecord, Merge, Relabels, Removal, Upload
from tests.databases import database_urls, opened_database


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        upload(database, 1, 2, 3)
        yield database


def sha(number: int) -> str:
    return f"{number:064x}"


def category(name: str | None) -> Category | None:
    return Category(id=f"id of {name}", name=name) if name else None


def named(category: Category | None) -> str | None:
    return category.name if category else None


def upload(database: sqlalchemy.Engine, *numbers: int, label: str | None = None) -> None:
    images = [ImageRecord(sha(number), "PNG", 8, 9, 1, 100) for number in numbers]
    ImageTables(database).record(Upload("pets", images, category(label), None, 1.0, "ada"))


def choose(
    database: sqlalchemy.Engine,
    *choices: tuple[int, str | None] | tuple[int, str | None, float],
    at: float = 2.0,
    who: str = "bob",
) -> LabelsReply:
    chosen = [Choice(sha(image), category(name), *seen) for image, name, *seen in choices]
    return ImageTables(database).relabel_many(Relabels("pets", chosen, at, who))


def counts(database: sqlalchemy.Engine) -> dict[str, int]:
    return {one.name: one.images for one in DatasetTables(database).summary("pets").categories}


def told(database: sqlalchemy.Engine, number: int) -> list[tuple[str | None, str | None]]:
    events = LabelTables(database).history("pets", sha(number)).events
    return [(named(event.category), event.source) for event in events]


def shown(database: sqlalchemy.Engine) -> dict[str, tuple[str | None, str | None, float]]:
    page = ImageTables(database).browse(Filter("pets"), None, 10)
    return {one.image: (named(one.category), one.source, one.changed) for one in page.images}


def test_many_decisions_are_labels_events_and_counts(database: sqlalchemy.Engine) -> None:
    reply = choose(database, (1, "cat"), (2, "dog"), (3, "cat"))
    assert [(one.image, one.category, one.changed, one.relabeled) for one in reply.labeled] == [
        (sha(1), category("cat"), 2.0, True),
        (sha(2), category("dog"), 2.0, True),
        (sha(3), category("cat"), 2.0, True),
    ]
    assert (reply.conflicts, reply.unknown) == ([], [])
    assert counts(database) == {"cat": 2, "dog": 1}
    assert told(database, 1) == [(None, "upload"), ("cat", "person")]
    assert shown(database)[sha(1)] == ("cat", "person", 2.0)


def test_the_same_decision_again_changes_nothing(database: sqlalchemy.Engine) -> None:
    choose(database, (1, "cat"), at=2.0)
    (again,) = choose(database, (1, "cat", 1.0), at=3.0, who="eve").labeled
    assert (again.changed, again.relabeled) == (2.0, False)
    assert told(database, 1) == [(None, "upload"), ("cat", "person")]
    assert counts(database) == {"cat": 1}


def test_what_somebody_else_decided_since_stays(database: sqlalchemy.Engine) -> None:
    choose(database, (1, "cat"), at=2.0, who="ada")
    reply = choose(database, (1, "dog", 1.0), (2, "dog", 1.0), at=3.0)
    (conflict,) = reply.conflicts
    assert (conflict.image, conflict.category, conflict.who, conflict.changed) == (
        sha(1),
        category("cat"),
        "ada",
        2.0,
    )
    assert [one.image for one in reply.labeled] == [sha(2)]
    mine = choose(database, (1, "dog", conflict.changed), at=4.0)
    assert mine.labeled[0].relabeled
    assert counts(database) == {"cat": 0, "dog": 2}


def test_decisions_about_one_image_are_taken_in_turn(database: sqlalchemy.Engine) -> None:
    reply = choose(database, (1, "cat", 1.0), (1, "dog", 1.0), (1, None, 1.0), (1, "eel"))
    (labeled,) = reply.labeled
    assert labeled.category == category("eel")
    assert told(database, 1)[1:] == [
        ("cat", "person"),
        ("dog", "person"),
        (None, "person"),
        ("eel", "person"),
    ]
    assert counts(database) == {"cat": 0, "dog": 0, "eel": 1}
    assert reply.conflicts == []


def test_what_is_not_there_is_named_and_makes_no_category(database: sqlalchemy.Engine) -> None:
    ImageTables(database).remove(Removal("pets", sha(2), 2.0))
    reply = choose(database, (2, "cat"), (9, "dog"), (1, "eel"))
    assert reply.unknown == [sha(2), sha(9)]
    assert counts(database) == {"eel": 1}
    with pytest.raises(NotFoundError):
        ImageTables(database).relabel_many(Relabels("zoo", [Choice(sha(1), None)], 2.0))


def test_the_name_of_a_merged_category_is_the_one_it_became(database: sqlalchemy.Engine) -> None:
    choose(database, (1, "cat"), (2, "lion"))
    LabelTables(database).merge(Merge("pets", "id of lion", "id of cat", 3.0, "ada"))
    assert shown(database)[sha(2)] == ("cat", None, 3.0)
    reply = choose(database, (1, "lion", 0.0), (3, "lion"))
    assert [one.category for one in reply.labeled] == [category("cat")] * 2
    assert [one.relabeled for one in reply.labeled] == [False, True]
    assert counts(database) == {"cat": 3}


def test_a_label_that_is_taken_away_leaves_no_source(database: sqlalchemy.Engine) -> None:
    choose(database, (1, "cat"))
    choose(database, (1, None), at=3.0)
    assert shown(database)[sha(1)] == (None, None, 3.0)
    assert counts(database) == {"cat": 0}


def test_two_who_decide_at_once_are_one_after_the_other(database: sqlalchemy.Engine) -> None:
    def decide(number: int) -> LabelsReply:
        return choose(database, (1, f"c{number}", 1.0), at=2.0 + number, who=f"p{number}")

    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(decide, range(6)))
    assert sorted(len(reply.labeled) for reply in replies) == [0] * 5 + [1]
    assert sum(counts(database).values()) == 1
    assert len(told(database, 1)) == 2
