"""What the tables promise of groups of images; on every database of `tests.databases`."""

from collections.abc import Iterator

import pytest
import sqlalchemy

from commons.adapters.database import migrate
from commons.errors import InvalidInputError, NotFoundError
from commons.label_messages import QueueRequest
from commons.messages import Category
from sensory_service.adapters.appearance_tables import AppearanceTables
from sensory_service.adapters.claim_tables import ClaimTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.overview_tables import OverviewTables
from sensory_service.app import MIGRATIONS
from sensory_service.appearance import Appearance
from sensory_service.ports import Choice, Filter, ImageRecord, Lease, Relabels, Removal, Upload
from tests.databases import database_urls, opened_database

MOTIF = 0x0123_4567_89AB_CDEF
OTHER = 0xFEDC_BA98_7654_3210


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    """Give tables where 1, 2 and 3 look alike, 4 and 5 do, and 6 looks like none."""
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        upload(database, *range(1, 7))
        look(database, {1: (MOTIF, 0), 4: (OTHER, 0), 2: (MOTIF ^ 1, 0), 6: (MOTIF, 200)})
        look(database, {3: (MOTIF ^ 7, 1), 5: (OTHER ^ 1, 0)})
        yield database


def sha(number: int) -> str:
    return f"{number:064x}"


def upload(database: sqlalchemy.Engine, *numbers: int, dataset: str = "pets") -> None:
    images = [ImageRecord(sha(number), "PNG", 8, 9, 1, 100) for number in numbers]
    ImageTables(database).record(Upload(dataset, images, None, None, 1.0))


def label(database: sqlalchemy.Engine, number: int, name: str) -> None:
    choice = Choice(sha(number), Category(id=name, name=name))
    ImageTables(database).relabel_many(Relabels("pets", [choice], 2.0))


def look(database: sqlalchemy.Engine, seen: dict[int, tuple[int, int]]) -> None:
    """Write down a hash and how strong the stripes of each image are."""
    AppearanceTables(database).add(
        {sha(n): Appearance(bits, bytes([0, stripe] * 128)) for n, (bits, stripe) in seen.items()}
    )


def groups(database: sqlalchemy.Engine, limit: int = 50, **which: bool) -> list[tuple[int, int]]:
    """Return the first image and the size of all groups, page by page."""
    found, cursor = [], None
    while True:
        page = AppearanceTables(database).groups(
            "pets", cursor, limit, mixed=which.get("mixed", False)
        )
        found += [(int(one.group, 16), one.images) for one in page.groups]
        cursor = page.cursor
        if cursor is None:
            return found


def take(database: sqlalchemy.Engine, client: str, **more: object) -> list[tuple[int, int]]:
    request = QueueRequest.model_validate({"client": client, "order": "oldest", **more})
    queue = ClaimTables(database).take(Lease("pets", request, 1.0, "0" * 64))
    return [(int(one.image, 16), one.alike) for one in queue.images]


def test_an_image_joins_the_group_of_what_it_is_like(database: sqlalchemy.Engine) -> None:
    assert groups(database) == [(1, 3), (4, 2)]
    assert groups(database, limit=1) == [(1, 3), (4, 2)]
    page = ImageTables(database).browse(Filter("pets", group=sha(1)), None, 10)
    assert [int(one.image, 16) for one in page.images] == [3, 2, 1]
    assert {one.group for one in page.images} == {sha(1)}
    assert OverviewTables(database).balance("pets").groups == 2


def test_of_those_alike_it_is_the_nearest(database: sqlalchemy.Engine) -> None:
    look(database, {7: (MOTIF ^ 0x7000, 24), 8: (MOTIF ^ 0x7000, 14)})
    upload(database, 7, 8)
    page = ImageTables(database).browse(Filter("pets", group=sha(7)), None, 10)
    assert [int(one.image, 16) for one in page.images] == [8, 7]


def test_groups_say_how_their_labels_differ(database: sqlalchemy.Engine) -> None:
    label(database, 1, "cat")
    assert groups(database, mixed=True) == [], "a label and none are no contradiction"
    label(database, 2, "dog")
    assert groups(database, mixed=True) == [(1, 3)]
    first, second = AppearanceTables(database).groups("pets", None, 5, mixed=False).groups
    assert (first.categories, second.categories) == (3, 1)
    assert [int(image, 16) for image in first.examples] == [1, 2, 3]


def test_a_group_is_of_one_dataset(database: sqlalchemy.Engine) -> None:
    upload(database, 1, 4, 5, dataset="zoo")
    page = AppearanceTables(database).groups("zoo", None, 50, mixed=False)
    assert [(one.group, one.images) for one in page.groups] == [(sha(4), 2)]
    ImageTables(database).remove(Removal("pets", sha(5), 3.0))
    assert groups(database) == [(1, 3)]
    assert OverviewTables(database).balance("pets").groups == 1


def test_the_queue_gives_one_of_a_group_at_a_time(database: sqlalchemy.Engine) -> None:
    assert take(database, "a") == [(1, 3), (4, 2), (6, 1)]
    assert take(database, "b") == []
    label(database, 1, "cat")
    assert take(database, "b") == [(2, 2)]
    assert take(database, "a") == [(4, 2), (6, 1)]


def test_the_most_different_come_first(database: sqlalchemy.Engine) -> None:
    order = take(database, "a", order="uncertain", limit=3)
    assert (6, 1) in order[:2], "it looks like none of the others"


def test_what_nobody_looked_at_is_found_from_a_place_on(database: sqlalchemy.Engine) -> None:
    tables = AppearanceTables(database)
    upload(database, 7, 8)
    images, last = tables.unlooked(0, 7)
    assert images == [sha(7)]
    images, end = tables.unlooked(last, 7)
    assert (images, tables.unlooked(end, 7)) == ([sha(8)], ([], end))


def test_what_is_no_page_of_groups_is_refused(database: sqlalchemy.Engine) -> None:
    with pytest.raises(InvalidInputError):
        AppearanceTables(database).groups("pets", "1", 5, mixed=False)
    with pytest.raises(NotFoundError):
        AppearanceTables(database).groups("nowhere", None, 5, mixed=False)
