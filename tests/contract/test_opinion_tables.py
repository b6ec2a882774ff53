"""What the tables promise of opinions beside labels; on every database of `tests.databases`."""

from collections.abc import Iterator

import pytest
import sqlalchemy

from commons.adapters.database import migrate, reading
from commons.errors import InvalidInputError, NotFoundError
from commons.label_messages import GivenOpinion, Guess
from commons.messages import Category, Split
from sensory_service.adapters.erasure_tables import ErasureTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.label_tables import LabelTables
from sensory_service.adapters.opinion_tables import OpinionTables
from sensory_service.adapters.overview_tables import OverviewTables
from sensory_service.adapters.tables import OPINION
from sensory_service.app import MIGRATIONS
from sensory_service.ports import (
    Choice,
    Filter,
    ImageRecord,
    Merge,
    Opinions,
    Relabels,
    Removal,
    Upload,
)
from tests.databases import database_urls, opened_database


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    """Give tables with cat 1, dog 2 and the unlabeled 3 to 6."""
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        upload(database, 1, label="cat")
        upload(database, 2, label="dog", split="test")
        upload(database, 3, 4, 5, 6)
        yield database


def sha(number: int) -> str:
    return f"{number:064x}"


def category(name: str) -> Category:
    return Category(id=f"id of {name}", name=name)


def upload(
    database: sqlalchemy.Engine, *numbers: int, label: str | None = None, split: Split | None = None
) -> None:
    images = [ImageRecord(sha(number), "PNG", 8, 9, 1, 100) for number in numbers]
    said = category(label) if label else None
    ImageTables(database).record(Upload("pets", images, said, split, 1.0))


def label(database: sqlalchemy.Engine, number: int, name: str | None) -> None:
    choice = Choice(sha(number), category(name) if name else None)
    ImageTables(database).relabel_many(Relabels("pets", [choice], 2.0))


def opinion(number: int, name: str, confidence: float, other: str = "dog") -> GivenOpinion:
    rest = 1.0 - confidence
    top = [
        Guess(category=f"id of {name}", probability=confidence),
        Guess(category=f"id of {other}", probability=rest),
    ]
    return GivenOpinion(image=sha(number), top=top, margin=confidence - rest)


def keep(database: sqlalchemy.Engine, *opinions: GivenOpinion, network: str = "n1") -> int:
    return OpinionTables(database).keep(Opinions("pets", network, opinions, 9.0))


def found(database: sqlalchemy.Engine, **which: object) -> list[int]:
    """Return the numbers of the images of all pages, two images a page."""
    tables, cursor, numbers = ImageTables(database), None, []
    while True:
        page = tables.browse(Filter("pets", **which), cursor, 2)  # type: ignore[arg-type]
        numbers += [int(one.image, 16) for one in page.images]
        cursor = page.cursor
        if cursor is None:
            return numbers


def kept(database: sqlalchemy.Engine) -> int:
    with reading(database) as connection:
        return int(
            connection.execute(
                sqlalchemy.select(sqlalchemy.func.count()).select_from(OPINION)
            ).scalar_one()
        )


def test_an_opinion_stands_beside_its_image(database: sqlalchemy.Engine) -> None:
    assert keep(database, opinion(3, "cat", 0.75)) == 1
    page = ImageTables(database).browse(Filter("pets"), None, 10)
    (said,) = [one.opinion for one in page.images if one.opinion]
    assert (said.network, said.margin, said.at) == ("n1", 0.5, 9.0)
    assert [(answer.category, answer.probability) for answer in said.top] == [
        (category("cat"), 0.75),
        (category("dog"), 0.25),
    ]
    (same,) = ImageTables(database).lookup("pets", [sha(3)])
    assert same.opinion == said


def test_the_latest_opinion_stays_and_what_nobody_knows_is_left_out(
    database: sqlalchemy.Engine,
) -> None:
    keep(database, opinion(3, "cat", 0.75), opinion(4, "cat", 0.75))
    count = keep(
        database,
        opinion(3, "dog", 0.9),
        opinion(3, "dog", 0.8),
        opinion(9, "dog", 0.9),
        opinion(4, "eel", 0.9),
        network="n2",
    )
    assert count == 1
    assert kept(database) == 2
    assert found(database, said="dog") == [3]
    with pytest.raises(NotFoundError):
        OpinionTables(database).keep(Opinions("zoo", "n1", [opinion(3, "cat", 0.9)], 9.0))


def test_the_unlabeled_come_by_how_sure_the_network_is(database: sqlalchemy.Engine) -> None:
    keep(
        database,
        opinion(1, "dog", 0.51),
        opinion(3, "cat", 0.9),
        opinion(4, "cat", 0.6),
        opinion(5, "dog", 0.6, other="cat"),
        opinion(6, "cat", 0.8),
    )
    assert found(database, order="uncertain") == [4, 5, 6, 3]
    assert found(database, order="confident") == [3, 6, 5, 4]
    assert found(database, order="confident", said="cat") == [3, 6, 4]
    assert found(database, order="confident", min_confidence=0.7, max_confidence=0.85) == [6]
    assert found(database, said="cat") == [6, 4, 3]
    assert found(database, min_confidence=0.85) == [3]
    label(database, 6, "cat")
    assert found(database, order="uncertain") == [4, 5, 3]
    label(database, 6, None)
    assert found(database, order="uncertain") == [4, 5, 6, 3]


def test_likely_errors_come_first(database: sqlalchemy.Engine) -> None:
    keep(database, opinion(1, "dog", 0.7), opinion(2, "cat", 0.9), opinion(3, "cat", 0.99))
    assert found(database, order="disagreement") == [2, 1]
    assert found(database, disagrees=True) == [2, 1]
    assert found(database, disagrees=False) == []
    assert found(database, disagrees=True, category="cat") == [1]
    assert found(database, order="disagreement", split="test") == [2]
    cells = OverviewTables(database).balance("pets").cells
    assert [(c.category and c.category.name, c.split, c.disagreeing) for c in cells] == [
        ("cat", None, 1),
        ("dog", "test", 1),
        (None, None, 0),
    ]
    label(database, 2, "cat")
    assert found(database, order="disagreement") == [1]
    assert found(database, disagrees=False) == [2]


def test_an_upload_that_relabels_is_a_label_like_any_other(database: sqlalchemy.Engine) -> None:
    keep(database, opinion(1, "dog", 0.7), opinion(3, "dog", 0.7))
    upload(database, 1, 3, label="dog")
    assert found(database, disagrees=False) == [3, 1]
    assert found(database, order="uncertain") == []


def test_a_merge_makes_opinions_agree(database: sqlalchemy.Engine) -> None:
    keep(database, opinion(1, "dog", 0.7), opinion(3, "cat", 0.7))
    LabelTables(database).merge(Merge("pets", "id of dog", "id of cat", 3.0))
    assert found(database, disagrees=False) == [1]
    assert found(database, said="dog") == [3, 1], "the old name means the new category"
    (one,) = ImageTables(database).lookup("pets", [sha(1)])
    assert one.opinion is not None
    assert one.opinion.top[0].category == category("cat")
    assert keep(database, opinion(2, "dog", 0.9)) == 1, "networks know the category they learned"
    assert found(database, disagrees=False) == [2, 1]


def test_an_opinion_leaves_with_its_image(database: sqlalchemy.Engine) -> None:
    keep(database, opinion(1, "dog", 0.7), opinion(3, "cat", 0.7))
    ImageTables(database).remove(Removal("pets", sha(1), 2.0))
    ErasureTables(database).begin(sha(3), None, 3.0)
    assert kept(database) == 0
    upload(database, 1)
    assert found(database, disagrees=True) == []


def test_wanted_are_the_unlabeled_first_and_only_those(database: sqlalchemy.Engine) -> None:
    tables = OpinionTables(database)
    assert tables.wanted("pets", "n1", 10) == [sha(n) for n in (6, 5, 4, 3, 2, 1)]
    assert tables.wanted("pets", "n1", 5) == [sha(n) for n in (6, 5, 4, 3, 2)]
    keep(database, *(opinion(n, "cat", 0.7) for n in (6, 4, 2)))
    assert tables.wanted("pets", "n1", 10) == [sha(n) for n in (5, 3, 1)]
    keep(database, *(opinion(n, "cat", 0.7) for n in (5, 3, 1)))
    assert tables.wanted("pets", "n1", 10) == []
    assert len(tables.wanted("pets", "n2", 10)) == 6
    with pytest.raises(NotFoundError):
        tables.wanted("zoo", "n1", 10)


def test_a_cursor_of_another_order_is_refused(database: sqlalchemy.Engine) -> None:
    for cursor in ("3", "x:3", "0.5:x"):
        with pytest.raises(InvalidInputError):
            ImageTables(database).browse(Filter("pets", order="uncertain"), cursor, 2)
