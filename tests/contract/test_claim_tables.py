"""What the tables promise of the queue; on every database of `tests.databases`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy

from commons.adapters.database import migrate, reading
from commons.errors import NotFoundError
from commons.label_messages import GivenOpinion, Guess, LabelQueue, QueueRequest
from commons.messages import Category
from sensory_service.adapters.claim_tables import ClaimTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.opinion_tables import OpinionTables
from sensory_service.adapters.tables import LABEL_CLAIM
from sensory_service.app import MIGRATIONS
from sensory_service.ports import (
    Choice,
    ImageRecord,
    Lease,
    Opinions,
    Relabels,
    Removal,
    Skip,
    Upload,
)
from tests.databases import database_urls, opened_database

CAT = Category(id="c", name="cat")
DOG = Category(id="d", name="dog")


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    """Give tables with the labeled cat 1 and dog 2, and the unlabeled 3 to 8."""
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        upload(database, 1, category=CAT)
        upload(database, 2, category=DOG)
        upload(database, *range(3, 9))
        yield database


def sha(number: int) -> str:
    return f"{number:064x}"


def upload(database: sqlalchemy.Engine, *numbers: int, category: Category | None = None) -> None:
    images = [ImageRecord(sha(number), "PNG", 8, 9, 1, 100) for number in numbers]
    ImageTables(database).record(Upload("pets", images, category, None, 1.0))


def label(database: sqlalchemy.Engine, number: int, category: Category | None = CAT) -> None:
    ImageTables(database).relabel_many(Relabels("pets", [Choice(sha(number), category)], 2.0))


def say(database: sqlalchemy.Engine, opinions: dict[int, tuple[str, float]]) -> None:
    given = [
        GivenOpinion(
            image=sha(number),
            top=[
                Guess(category=category, probability=confidence),
                Guess(category="dc"["cd".index(category)], probability=1.0 - confidence),
            ],
            margin=2.0 * confidence - 1.0,
        )
        for number, (category, confidence) in opinions.items()
    ]
    OpinionTables(database).keep(Opinions("pets", "n1", given, 5.0))


def queue(
    database: sqlalchemy.Engine, client: str, at: float = 0.0, draw: str = "0" * 64, **more: object
) -> LabelQueue:
    request = QueueRequest.model_validate({"client": client, **more})
    return ClaimTables(database).take(Lease("pets", request, at, draw))


def take(database: sqlalchemy.Engine, client: str, at: float = 0.0, **more: object) -> list[int]:
    return [int(one.image, 16) for one in queue(database, client, at, **more).images]  # type: ignore[arg-type]


def test_two_clients_never_hold_the_same_image(database: sqlalchemy.Engine) -> None:
    assert take(database, "a", order="newest", limit=4) == [8, 7, 6, 5]
    assert take(database, "b", order="newest", limit=4) == [4, 3]
    assert take(database, "c", order="newest", limit=4) == []


def test_what_a_client_holds_comes_first_after_a_reload(database: sqlalchemy.Engine) -> None:
    assert take(database, "a", order="oldest", limit=2) == [3, 4]
    label(database, 3)
    assert take(database, "a", order="oldest", limit=2) == [4, 5]
    label(database, 3, None)
    assert take(database, "a", order="oldest", limit=4) == [3, 4, 5, 6], "undone: it is back"


def test_a_hold_ends_and_is_renewed_by_asking(database: sqlalchemy.Engine) -> None:
    take(database, "a", 0.0, order="oldest", limit=2, hold_s=20)
    take(database, "a", 15.0, order="oldest", limit=2, hold_s=20)
    assert take(database, "b", 30.0, order="oldest", limit=2) == [5, 6]
    assert take(database, "c", 35.0, order="oldest", limit=2) == [3, 4]


def test_what_is_skipped_goes_to_others(database: sqlalchemy.Engine) -> None:
    tables = ClaimTables(database)
    take(database, "a", order="oldest", limit=2)
    tables.skip(Skip("pets", "a", [sha(3), sha(99)], 3600.0))
    assert take(database, "a", 1.0, order="oldest", limit=2) == [4, 5]
    assert take(database, "b", 1.0, order="oldest", limit=1) == [3]
    tables.release("pets", "a")
    assert take(database, "a", 2.0, order="oldest", limit=2) == [4, 5]
    tables.release("pets", "b")
    assert 3 in take(database, "a", 3601.0, order="oldest")


def test_who_goes_lets_go(database: sqlalchemy.Engine) -> None:
    take(database, "a", order="oldest", limit=6)
    ClaimTables(database).release("pets", "a")
    assert take(database, "b", order="oldest", limit=2) == [3, 4]


def test_the_most_uncertain_come_first_and_then_the_unjudged(database: sqlalchemy.Engine) -> None:
    say(database, {1: ("c", 0.5), 3: ("c", 0.9), 4: ("d", 0.6), 5: ("c", 0.7)})
    found = queue(database, "a", limit=5)
    assert [int(one.image, 16) for one in found.images] == [4, 5, 3, 8, 7]
    assert (found.left, found.suggested, found.network) == (6, 3, "n1")
    assert found.images[0].opinion is not None
    assert found.images[0].opinion.top[0].category == DOG


def test_without_a_champion_all_are_there_to_label(database: sqlalchemy.Engine) -> None:
    found = queue(database, "a")
    assert [int(one.image, 16) for one in found.images] == [8, 7, 6, 5, 4, 3]
    assert (found.left, found.suggested, found.network) == (6, 0, None)


def test_only_what_is_taken_for_a_category(database: sqlalchemy.Engine) -> None:
    say(database, {3: ("c", 0.9), 4: ("d", 0.6), 5: ("c", 0.7)})
    assert take(database, "a", said="cat") == [5, 3]
    assert take(database, "a", said="dog") == [4], "what it holds of others is not among them"
    assert take(database, "b", said="cat", order="newest") == []
    ClaimTables(database).release("pets", "a")
    assert take(database, "b", said="cat", order="newest") == [5, 3]
    with pytest.raises(NotFoundError):
        take(database, "a", said="eel")


def test_a_random_order_begins_where_it_is_drawn(database: sqlalchemy.Engine) -> None:
    assert take(database, "a", order="random", draw=sha(6), limit=4) == [6, 7, 8, 3]
    ClaimTables(database).release("pets", "a")
    assert take(database, "a", order="random", draw=sha(4), limit=2) == [4, 5]


def test_a_removed_image_is_held_by_nobody(database: sqlalchemy.Engine) -> None:
    take(database, "a")
    for number in range(3, 9):
        ImageTables(database).remove(Removal("pets", sha(number), 2.0))
    with reading(database) as connection:
        assert connection.execute(sqlalchemy.select(LABEL_CLAIM)).all() == []
    upload(database, 3)
    assert take(database, "b") == [3]


def test_many_clients_at_once_share_nothing(database: sqlalchemy.Engine) -> None:
    upload(database, *range(100, 160))

    def some(number: int) -> list[int]:
        return take(database, f"client {number}", limit=10)

    with ThreadPoolExecutor(6) as pool:
        taken = [image for part in pool.map(some, range(6)) for image in part]
    assert len(taken) == len(set(taken)) == 60


def test_an_unknown_dataset_has_no_queue(database: sqlalchemy.Engine) -> None:
    tables = ClaimTables(database)
    with pytest.raises(NotFoundError):
        tables.take(Lease("zoo", QueueRequest(client="a"), 0.0, ""))
    with pytest.raises(NotFoundError):
        tables.skip(Skip("zoo", "a", [sha(1)], 1.0))
    with pytest.raises(NotFoundError):
        tables.release("zoo", "a")
