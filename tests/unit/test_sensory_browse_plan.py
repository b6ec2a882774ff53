"""How a page is found: by an index that knows all of the filter, and never by a scan."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event

from commons.adapters.clock import SystemClock
from commons.label_messages import QueueRequest
from commons.messages import Category
from sensory_service.adapters.claim_tables import ClaimTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.overview_tables import OverviewTables
from sensory_service.app import Settings, create_platform
from sensory_service.ports import Filter, ImageRecord, Lease, Upload


@pytest.fixture
def database(tmp_path: Path) -> sqlalchemy.Engine:
    database = create_platform(Settings(data=tmp_path), SystemClock()).database
    image = ImageRecord(f"{1:064x}", "PNG", 8, 9, 1, 100)
    ImageTables(database).record(Upload("pets", [image], Category(id="c", name="cat"), None, 2.0))
    return database


def plans_of(database: sqlalchemy.Engine, ask: Callable[[], object]) -> list[str]:
    """Return how the database finds what it is asked for, question by question."""
    asked: list[tuple[str, Any]] = []

    def remember(_c: object, _k: object, statement: str, values: object, *_: object) -> None:
        asked.append((statement, values))

    event.listen(database, "before_cursor_execute", remember)
    ask()
    event.remove(database, "before_cursor_execute", remember)
    plans = []
    with database.connect() as connection:
        for statement, values in asked:
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
                plans.append(" / ".join(str(row[3]) for row in rows))
    return plans


def plan_of(database: sqlalchemy.Engine, which: Filter) -> str:
    """Return how the database finds the memberships of a page."""
    return plans_of(database, lambda: ImageTables(database).browse(which, None, 10))[-1]


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "membership_by_age"),
        ({"category": "cat"}, "membership_by_category"),
        ({"who": "ada"}, "membership_by_labeler"),
        ({"since": 1.0}, "membership_by_change"),
        ({"category": "cat", "who": "ada"}, "membership_by_category_labeler"),
        ({"category": "cat", "until": 3.0}, "membership_by_category_change"),
        ({"who": "ada", "until": 3.0}, "membership_by_labeler_change"),
        ({"who": "ada", "labeled": False}, "membership_by_category_labeler"),
        ({"labeled": True, "until": 3.0}, "membership_labeled_by_change"),
        ({"who": "ada", "labeled": True}, "membership_labeled_by_labeler"),
        ({"who": "ada", "labeled": True, "since": 1.0}, "membership_labeled_by_labeler_change"),
        ({"split": "test"}, "membership_by_split"),
        ({"split": "test", "category": "cat"}, "membership_by_split_category"),
        ({"source": "person"}, "membership_by_source"),
    ],
)
def test_a_page_is_a_range_of_the_index_of_its_filter(
    database: sqlalchemy.Engine, filters: dict[str, Any], index: str
) -> None:
    plan = plan_of(database, Filter("pets", **filters))
    assert f"membership USING INDEX {index} " in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"order": "uncertain"}, "opinion_by_margin"),
        ({"order": "confident"}, "opinion_by_confidence"),
        ({"order": "disagreement"}, "opinion_by_confidence"),
        ({"order": "disagreement", "category": "cat"}, "opinion_by_confidence"),
        ({"order": "confident", "said": "cat"}, "opinion_by_category_confidence"),
        ({"order": "confident", "min_confidence": 0.5}, "opinion_by_confidence"),
        ({"said": "cat"}, "opinion_by_category"),
        ({"disagrees": True}, "opinion_by_state"),
        ({"disagrees": False, "split": "test"}, "opinion_by_state"),
    ],
)
def test_a_page_about_opinions_is_a_range_of_an_index_of_theirs(
    database: sqlalchemy.Engine, filters: dict[str, Any], index: str
) -> None:
    plan = plan_of(database, Filter("pets", **filters))
    assert f"opinion USING INDEX {index} " in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("order", "said", "index"),
    [
        ("uncertain", None, "opinion_by_margin"),
        ("uncertain", "cat", "opinion_by_category_confidence"),
        ("newest", None, "membership_by_category"),
        ("oldest", None, "membership_by_category"),
        ("random", None, "sqlite_autoindex_membership_1"),
    ],
)
def test_the_queue_is_found_by_indexes(
    database: sqlalchemy.Engine, order: str, said: str | None, index: str
) -> None:
    request = QueueRequest.model_validate({"client": "a", "order": order, "said": said})
    lease = Lease("pets", request, 1.0, "8" * 64)
    plans = plans_of(database, lambda: ClaimTables(database).take(lease))
    assert not [plan for plan in plans if "SCAN" in plan or "TEMP B-TREE" in plan]
    assert [plan for plan in plans if index in plan]


def test_a_group_is_found_by_its_name(database: sqlalchemy.Engine) -> None:
    def ask() -> object:
        return ImageTables(database).browse(Filter("pets", group="a" * 64), None, 10)

    *_, numbers, page = plans_of(database, ask)
    assert "appearance USING INDEX appearance_by_cluster (cluster=?)" in numbers
    assert "membership USING COVERING INDEX sqlite_autoindex_membership_1" in numbers
    assert "rowid=?" in page.partition(" / ")[0], "the images of the group, and no others"


def test_groups_are_counted_from_those_that_somebody_joined(database: sqlalchemy.Engine) -> None:
    plans = plans_of(database, lambda: OverviewTables(database).balance("pets"))
    (counted,) = [plan for plan in plans if "appearance_following" in plan]
    assert "membership USING INDEX sqlite_autoindex_membership_1" in counted
