"""What the tables of the sensory service promise; on every database of `tests.databases`."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from commons.adapters.database import migrate, reading, version_table, writing
from commons.errors import ConflictError, GoneError, InvalidInputError, NotFoundError
from commons.messages import Category, OrderRequest, Snapshot, Split, StoredImage
from sensory_service.adapters.blob_tables import BlobTables
from sensory_service.adapters.dataset_tables import DatasetTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.label_tables import LabelTables
from sensory_service.adapters.order_tables import OrderTables
from sensory_service.adapters.shard_tables import ShardTables
from sensory_service.adapters.snapshot_tables import SnapshotTables
from sensory_service.adapters.tables import LABEL_EVENT, METADATA
from sensory_service.app import MIGRATIONS
from sensory_service.ports import (
    Filter,
    ImageRecord,
    ManifestLine,
    Merge,
    NewOrder,
    Relabel,
    Removal,
    Upload,
)
from sensory_service.shard_layout import cut
from sensory_service.shard_messages import MakeShard
from tests.databases import database_urls, opened_database


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for database in opened_database(request):
        migrate(database, MIGRATIONS)
        yield database


def sha(number: int) -> str:
    return f"{number:064x}"


def image(number: int) -> ImageRecord:
    return ImageRecord(sha(number), "PNG", 8, 9, 1, 100)


def category(name: str | None) -> Category | None:
    return name and Category(id=f"id of {name}", name=name)


def upload(
    database: sqlalchemy.Engine,
    *numbers: int,
    label: str | None = None,
    split: Split | None = None,
    dataset: str = "pets",
) -> list[StoredImage]:
    images = [image(number) for number in numbers]
    return ImageTables(database).record(Upload(dataset, images, category(label), split, 1.0))


def counts(database: sqlalchemy.Engine, dataset: str = "pets") -> dict[str, int]:
    summary = DatasetTables(database).summary(dataset)
    assert summary.labeled == sum(category.images for category in summary.categories)
    return {category.name: category.images for category in summary.categories}


def events(database: sqlalchemy.Engine, number: int) -> list[str | None]:
    query = sqlalchemy.select(LABEL_EVENT.c.category).order_by(LABEL_EVENT.c.id)
    with reading(database) as connection:
        return list(connection.execute(query.where(LABEL_EVENT.c.image == sha(number))).scalars())


def test_the_migrations_make_the_tables_of_the_code(database: sqlalchemy.Engine) -> None:
    with reading(database) as connection:
        options = {"version_table": version_table(database, MIGRATIONS)}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def test_migrating_twice_and_at_once_changes_nothing(database: sqlalchemy.Engine) -> None:
    upload(database, 1, label="cat")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: migrate(database, MIGRATIONS), range(3)))
    assert counts(database) == {"cat": 1}


def test_an_upload_makes_its_dataset_and_category(database: sqlalchemy.Engine) -> None:
    (stored,) = upload(database, 1, label="cat", split="test")
    assert stored == StoredImage(
        image=sha(1),
        dataset="pets",
        category=category("cat"),
        split="test",
        height=8,
        width=9,
        channels=1,
        duplicate=False,
        relabeled=False,
    )
    assert DatasetTables(database).summary("pets").images == 1


def test_a_category_keeps_its_first_id(database: sqlalchemy.Engine) -> None:
    upload(database, 1, label="cat")
    again = Upload("pets", [image(2)], Category(id="other", name="cat"), None, 2.0)
    (stored,) = ImageTables(database).record(again)
    assert stored.category == category("cat")


def test_categories_stand_in_the_order_of_their_making(database: sqlalchemy.Engine) -> None:
    for number, name in enumerate(["dog", "cat", "ant"]):
        upload(database, number, label=name)
    assert list(counts(database)) == ["dog", "cat", "ant"]


def test_the_same_name_in_two_datasets_is_two_categories(database: sqlalchemy.Engine) -> None:
    upload(database, 1, label="cat")
    other = Upload("zoo", [image(1)], Category(id="another", name="cat"), None, 1.0)
    (stored,) = ImageTables(database).record(other)
    assert stored.category is not None
    assert stored.category.id == "another"
    assert not stored.duplicate


def test_the_same_image_again_is_a_duplicate_with_its_label(database: sqlalchemy.Engine) -> None:
    upload(database, 1, label="cat")
    (unlabeled,) = upload(database, 1)
    (labeled,) = upload(database, 1, label="cat")
    for stored in (unlabeled, labeled):
        assert (stored.duplicate, stored.relabeled) == (True, False)
        assert stored.category == category("cat")
    assert counts(database) == {"cat": 1}
    assert events(database, 1) == ["id of cat"]


def test_the_same_image_with_another_category_is_relabeled(database: sqlalchemy.Engine) -> None:
    upload(database, 1, label="cat")
    (stored,) = upload(database, 1, label="dog")
    assert (stored.duplicate, stored.relabeled) == (True, True)
    assert counts(database) == {"cat": 0, "dog": 1}
    assert events(database, 1) == ["id of cat", "id of dog"]


def test_a_label_for_an_image_that_had_none_counts_as_relabeled(
    database: sqlalchemy.Engine,
) -> None:
    upload(database, 1)
    (stored,) = upload(database, 1, label="dog")
    assert (stored.duplicate, stored.relabeled) == (True, True)
    assert DatasetTables(database).summary("pets").labeled == 1


def test_the_same_bytes_twice_in_one_request_are_one_image(database: sqlalchemy.Engine) -> None:
    first, second = upload(database, 1, 1, label="cat")
    assert (first.duplicate, second.duplicate) == (False, True)
    assert DatasetTables(database).summary("pets").images == 1
    assert counts(database) == {"cat": 1}


def test_the_first_split_stays(database: sqlalchemy.Engine) -> None:
    upload(database, 1)
    (said,) = upload(database, 1, split="test")
    (later,) = upload(database, 1, split="train")
    assert (said.split, later.split) == ("test", "test")


def test_a_request_of_thousands_of_images_is_one_transaction(
    database: sqlalchemy.Engine,
) -> None:
    upload(database, *range(2500), label="cat")
    assert sum(stored.duplicate for stored in upload(database, *range(2400, 2600))) == 100
    assert DatasetTables(database).summary("pets").images == 2600


def test_uploads_at_the_same_time_lose_no_count(database: sqlalchemy.Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: upload(database, i, i + 1, label=f"c{i % 3}"), range(0, 40, 2)))
    assert DatasetTables(database).summary("pets").images == 40
    assert sum(counts(database).values()) == 40


def test_relabeling_moves_the_counts_and_keeps_the_history(database: sqlalchemy.Engine) -> None:
    upload(database, 1, label="cat", split="train")
    images = ImageTables(database)
    moved = images.relabel(Relabel("pets", sha(1), category("dog"), 2.0))
    assert (moved.category, moved.split, moved.relabeled) == (category("dog"), "train", True)
    cleared = images.relabel(Relabel("pets", sha(1), None, 3.0))
    again = images.relabel(Relabel("pets", sha(1), None, 4.0))
    assert cleared.category is None
    assert (cleared.relabeled, again.relabeled) == (True, False)
    assert counts(database) == {"cat": 0, "dog": 0}
    assert events(database, 1) == ["id of cat", "id of dog", None]


def test_what_is_not_there_cannot_be_relabeled(database: sqlalchemy.Engine) -> None:
    images = ImageTables(database)
    with pytest.raises(NotFoundError, match="no dataset"):
        images.relabel(Relabel("pets", sha(1), None, 1.0))
    upload(database, 1)
    with pytest.raises(NotFoundError, match="no image"):
        images.relabel(Relabel("pets", sha(2), category("dog"), 1.0))
    assert counts(database) == {}


def test_browsing_shows_every_image_once_and_the_newest_first(
    database: sqlalchemy.Engine,
) -> None:
    upload(database, *range(5), label="cat")
    seen, cursor = [], None
    while True:
        page = ImageTables(database).browse(Filter("pets"), cursor, 2)
        seen += [found.image for found in page.images]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [sha(number) for number in (4, 3, 2, 1, 0)]


def test_browsing_narrows_by_category_and_by_label(database: sqlalchemy.Engine) -> None:
    upload(database, 1, label="cat")
    upload(database, 2, label="dog")
    upload(database, 3)
    images = ImageTables(database)

    def found(**which: object) -> list[str]:
        page = images.browse(Filter("pets", **which), None, 10)  # type: ignore[arg-type]
        return [row.image for row in page.images]

    assert found(category="dog") == [sha(2)]
    assert found(labeled=True) == [sha(2), sha(1)]
    assert found(labeled=False) == [sha(3)]
    assert found(labeled=False, category="dog") == []
    with pytest.raises(NotFoundError, match="no category 'ant'"):
        found(category="ant")


def test_a_lookup_finds_those_that_are_in_the_dataset_now(database: sqlalchemy.Engine) -> None:
    upload(database, 1, 2, label="cat", split="train")
    upload(database, 3)
    upload(database, 4, dataset="birds")
    tables = ImageTables(database)
    tables.remove(Removal("pets", sha(2), 2.0))
    found = tables.lookup("pets", [sha(number) for number in range(1, 9)])
    known = {image.image: (image.category and image.category.name, image.split) for image in found}
    assert known == {sha(1): ("cat", "train"), sha(3): (None, None)}
    assert tables.lookup("pets", []) == []
    with pytest.raises(NotFoundError, match="nobody's"):
        tables.lookup("nobody's", [sha(1)])


def test_what_was_never_stored_is_not_found(database: sqlalchemy.Engine) -> None:
    for ask in (
        lambda: DatasetTables(database).summary("pets"),
        lambda: ImageTables(database).find(sha(1)),
        lambda: ImageTables(database).browse(Filter("pets"), None, 1),
        lambda: SnapshotTables(database).get(sha(1)),
        lambda: OrderTables(database).get("none"),
        lambda: OrderTables(database).cancel("none"),
        lambda: OrderTables(database).shard("none", 1),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert DatasetTables(database).summaries() == []
    assert ShardTables(database).task(1) is None


def test_a_split_is_assigned_once(database: sqlalchemy.Engine) -> None:
    upload(database, 1, 2, label="cat")
    snapshots = SnapshotTables(database)
    first, second = (row.membership for row in sorted(snapshots.labeled("pets", ["id of cat"])))
    assert snapshots.assign_splits({first: "train", second: "test"}) == 2
    assert snapshots.assign_splits({first: "test", second: "train"}) == 0
    assert snapshots.assign_splits({}) == 0
    found = {row.image: (row.split, row.said) for row in snapshots.labeled("pets", ["id of cat"])}
    assert found == {sha(1): ("train", False), sha(2): ("test", False)}


def snapshot(database: sqlalchemy.Engine, train: int = 6, test: int = 2) -> Snapshot:
    upload(database, 1, label="cat")
    value = Snapshot(
        id=sha(99),
        dataset="pets",
        categories=[Category(id="id of cat", name="cat")],
        counts={"train": train, "validation": 0, "test": test},
        median_shape=(8, 9, 1),
        created=1.0,
    )
    splits: list[Split] = ["train"] * train + ["test"] * test
    rows = [
        ManifestLine(sha(number), category=0, split=split) for number, split in enumerate(splits)
    ]
    SnapshotTables(database).add(value, rows)
    return value


def test_a_snapshot_is_stored_once_with_its_rows_in_order(database: sqlalchemy.Engine) -> None:
    value = snapshot(database)
    snapshots = SnapshotTables(database)
    assert snapshots.get(value.id) == value
    assert not snapshots.add(value.model_copy(update={"created": 2.0}), [])
    assert snapshots.get(value.id).created == 1.0
    assert [row.image for row in snapshots.rows(value.id, 5, 2)] == [sha(5), sha(6)]
    assert len(snapshots.rows(value.id, 0, 100)) == 8


def test_a_snapshot_is_found_by_a_start_that_no_other_has(database: sqlalchemy.Engine) -> None:
    value = snapshot(database)
    snapshots = SnapshotTables(database)
    alike = value.id[:10] + "f" * 54
    later = value.model_copy(update={"id": alike, "created": 0.5})
    assert snapshots.add(later, [])
    for name in (value.id, value.id[:11]):
        assert snapshots.get(name) == value
    assert snapshots.get(alike[:12]).id == alike
    assert BlobTables(database).snapshot(alike[:12]).id == alike
    with pytest.raises(InvalidInputError, match="2 snapshots start with") as caught:
        snapshots.get(value.id[:10])
    assert caught.value.kind == "ambiguous-snapshot"
    for name in (value.id[:5], "f" * 64, "'; --", value.id[:12].upper() + "A"):
        with pytest.raises(NotFoundError):
            snapshots.get(name)
    # By the order of freezing: a clock may step.
    listed = [(entry.id, entry.created, entry.images) for entry in snapshots.entries("pets")]
    assert listed == [(alike, 0.5, 8), (value.id, 1.0, 8)]
    with pytest.raises(NotFoundError):
        snapshots.entries("birds")


def place(database: sqlalchemy.Engine, order: str, **options: object) -> list[int]:
    fields = {"snapshot": sha(99), "splits": ["train", "test"], "shape": (1024, 1024, 3)}
    request = OrderRequest.model_validate(fields | options)
    counts: dict[Split, int] = {"train": 30, "validation": 0, "test": 2}
    return OrderTables(database).add(NewOrder(order, request, 10.0, 30.0), cut(counts, request))


def stored() -> bool:
    return True


def test_an_order_is_complete_when_all_of_its_shards_are_made(
    database: sqlalchemy.Engine,
) -> None:
    snapshot(database)
    orders, shards = OrderTables(database), ShardTables(database)
    made = place(database, "a")
    states = [orders.get("a").state]
    for shard in made:
        shards.record(shard, sha(shard), stored)
        states.append(orders.get("a").state)
    assert states == ["accepted", "running", "running", "running", "complete"]
    descriptors = [orders.shard("a", sequence) for sequence in range(1, 5)]
    assert [d and (d.split, d.examples, d.last) for d in descriptors] == [
        ("train", 10, False),
        ("train", 10, False),
        ("train", 10, False),
        ("test", 2, True),
    ]
    assert orders.get("a").examples == 32
    with pytest.raises(NotFoundError, match="4"):
        orders.shard("a", 5)


def test_orders_of_the_same_share_their_shards(database: sqlalchemy.Engine) -> None:
    snapshot(database)
    first = place(database, "a")
    assert place(database, "b", splits=["test", "train"]) == [first[3], *first[:3]]
    assert not set(place(database, "c", resize="pad")) & set(first)
    for shard in first:
        ShardTables(database).record(shard, sha(shard), stored)
    assert place(database, "d") == []
    assert OrderTables(database).get("d").state == "complete"


def test_the_first_result_of_a_shard_stays(database: sqlalchemy.Engine) -> None:
    snapshot(database)
    shard = place(database, "a")[0]
    ShardTables(database).record(shard, sha(1), stored)
    ShardTables(database).record(shard, sha(2), stored)
    task = ShardTables(database).task(shard)
    assert task is not None
    assert task.sha256 == sha(1)


def test_a_cancelled_order_is_gone_and_wants_nothing(database: sqlalchemy.Engine) -> None:
    snapshot(database)
    orders, shards = OrderTables(database), ShardTables(database)
    shard = place(database, "a")[0]
    task = shards.task(shard)
    assert task is not None
    assert task.wanted
    orders.cancel("a")
    orders.cancel("a")
    task = shards.task(shard)
    assert task is not None
    assert not task.wanted
    assert orders.get("a").state == "cancelled"
    with pytest.raises(GoneError, match="cancelled"):
        orders.shard("a", 1)


def test_a_shard_that_cannot_be_made_fails_the_orders_that_wait_for_it(
    database: sqlalchemy.Engine,
) -> None:
    snapshot(database)
    orders, shards = OrderTables(database), ShardTables(database)
    made = place(database, "a")
    place(database, "train only", splits=["train"])
    shards.fail(made[3], "the bytes are gone")
    assert (orders.get("a").state, orders.get("a").reason) == ("failed", "the bytes are gone")
    assert orders.get("train only").state == "accepted"
    with pytest.raises(ConflictError, match="the bytes are gone"):
        orders.shard("a", 1)
    orders.cancel("a")
    assert orders.get("a").state == "failed"
    assert made[3] in place(database, "again"), "a later order tries again"


def test_a_made_shard_fails_nobody(database: sqlalchemy.Engine) -> None:
    snapshot(database)
    shard = place(database, "a")[0]
    ShardTables(database).record(shard, sha(1), stored)
    ShardTables(database).fail(shard, "a late and wrong word")
    assert OrderTables(database).get("a").state == "running"


def test_overdue_shards_are_those_that_somebody_waits_for_and_come_once(
    database: sqlalchemy.Engine,
) -> None:
    snapshot(database)
    shards = ShardTables(database)
    first, second, third, fourth = place(database, "a")
    place(database, "b", resize="pad")
    OrderTables(database).cancel("b")
    shards.record(second, sha(2), stored)
    assert shards.overdue(issued_before=10.0, now=50.0) == []
    late = shards.overdue(issued_before=11.0, now=50.0)
    assert late == [MakeShard(shard=shard, order="a") for shard in (first, third, fourth)]
    assert shards.overdue(issued_before=11.0, now=60.0) == []


def test_an_order_waits_for_its_shards_until_it_is_complete_or_ended(
    database: sqlalchemy.Engine,
) -> None:
    snapshot(database)
    shards = ShardTables(database)
    made = place(database, "a", splits=["test"])
    place(database, "b", resize="pad")
    place(database, "c", resize="crop")
    assert sorted(shards.awaiting_orders()) == ["a", "b", "c"]
    shards.record(made[0], sha(1), stored)
    OrderTables(database).cancel("b")
    assert shards.awaiting_orders() == ["c"]


def test_an_order_expires_once_and_is_forgotten_after_as_long_again(
    database: sqlalchemy.Engine,
) -> None:
    snapshot(database)
    orders = OrderTables(database)
    place(database, "a")
    place(database, "b")
    orders.cancel("b")
    assert orders.get("a").expires == 30.0
    assert (orders.expire(29.9), orders.expire(30.0), orders.expire(30.1)) == ([], ["a"], [])
    assert (orders.get("a").state, orders.get("b").state) == ("expired", "cancelled")
    with pytest.raises(GoneError, match="place it again") as caught:
        orders.shard("a", 1)
    assert caught.value.kind == "order-expired"
    assert orders.forget(49.9) == []
    assert sorted(orders.forget(50.0)) == ["a", "b"]
    with pytest.raises(NotFoundError):
        orders.get("a")
    assert len(place(database, "a")) == 4


def test_a_shard_is_discarded_when_the_last_order_that_holds_it_ended(
    database: sqlalchemy.Engine,
) -> None:
    snapshot(database)
    orders, shards = OrderTables(database), ShardTables(database)
    made = place(database, "a")
    place(database, "tests", splits=["test"])
    for shard in made:
        shards.record(shard, sha(shard), stored)
    assert shards.discard() == []
    orders.cancel("a")
    kept, lost = sha(made[3]), {sha(shard) for shard in made[:3]}
    assert set(shards.discard()) == lost
    assert set(BlobTables(database).hashes("shards", "")) == {kept}
    assert set(shards.discard()) == lost, "who died before clearing finds them again"
    cleared: list[str] = []
    for sha256 in lost:
        shards.clear(sha256, lambda sha256=sha256: cleared.append(sha256))
    assert set(cleared) == lost
    assert shards.discard() == []
    assert place(database, "again") == made[:3]


def test_bytes_that_another_shard_has_too_are_not_cleared(database: sqlalchemy.Engine) -> None:
    snapshot(database)
    shards = ShardTables(database)
    first = place(database, "a")[0]
    second = place(database, "b", resize="pad")[0]
    for shard in (first, second):
        shards.record(shard, sha(1), stored)
    OrderTables(database).cancel("a")
    assert shards.discard() == [sha(1)]
    shards.clear(sha(1), lambda: pytest.fail("the other shard needs them"))
    assert shards.discard() == []


def test_a_shard_whose_bytes_were_cleared_meanwhile_is_not_recorded(
    database: sqlalchemy.Engine,
) -> None:
    snapshot(database)
    shards = ShardTables(database)
    shard = place(database, "a")[0]
    with pytest.raises(NotFoundError, match=sha(1)):
        shards.record(shard, sha(1), lambda: False)
    assert OrderTables(database).get("a").state == "accepted"


def test_nobody_clears_the_bytes_of_a_shard_while_it_is_recorded(
    database: sqlalchemy.Engine,
) -> None:
    snapshot(database)
    shards = ShardTables(database)
    shard = place(database, "a")[0]
    cleared: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        clearing: list[Future[None]] = []

        def meanwhile() -> bool:
            other = ShardTables(database)
            clearing.append(pool.submit(other.clear, sha(1), lambda: cleared.append(sha(1))))
            time.sleep(0.2)
            return not cleared

        shards.record(shard, sha(1), meanwhile)
        clearing[0].result(timeout=30)
    assert cleared == []


def test_what_fails_in_a_transaction_leaves_no_trace(database: sqlalchemy.Engine) -> None:
    upload(database, 1, label="cat")
    taken = Upload("zoo", [image(2)], Category(id="id of cat", name="lion"), None, 1.0)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        ImageTables(database).record(taken)
    assert [summary.name for summary in DatasetTables(database).summaries()] == ["pets"]


def test_counts_are_kept_and_not_made_by_counting(database: sqlalchemy.Engine) -> None:
    upload(database, *range(10), label="cat")
    with writing(database) as connection:
        connection.execute(sqlalchemy.text("DELETE FROM membership"))
    assert counts(database) == {"cat": 10}


def test_a_category_may_take_back_the_name_of_one_that_was_merged_into_it(
    database: sqlalchemy.Engine,
) -> None:
    upload(database, 1, label="cat")
    upload(database, 2, label="kitten")
    labels = LabelTables(database)
    labels.merge(Merge("pets", "id of kitten", "id of cat", 2.0, None))
    assert labels.rename("pets", "id of cat", "kitten").id == "id of cat"
    assert counts(database) == {"kitten": 2}
    (stored,) = upload(database, 3, label="cat")
    assert stored.category == Category(id="id of cat", name="kitten")


def test_the_name_a_category_had_means_it_until_another_takes_it(
    database: sqlalchemy.Engine,
) -> None:
    upload(database, 1, label="cat")
    upload(database, 2, label="dog")
    labels = LabelTables(database)
    labels.rename("pets", "id of cat", "lion")
    labels.rename("pets", "id of cat", "tiger")
    lion, cat = upload(database, 3, label="lion") + upload(database, 4, label="cat")
    assert lion.category == cat.category == Category(id="id of cat", name="tiger")
    assert counts(database) == {"tiger": 3, "dog": 1}
    labels.rename("pets", "id of cat", "cat")
    (stored,) = upload(database, 5, label="tiger")
    assert stored.category == Category(id="id of cat", name="cat")
    # Two may change their names, and whoever makes a category of the name means a new one.
    labels.rename("pets", "id of cat", "eel")
    labels.rename("pets", "id of dog", "cat")
    labels.rename("pets", "id of cat", "dog")
    assert counts(database) == {"dog": 4, "cat": 1}
    new = Category(id="id of eel", name="eel")
    assert labels.add("pets", new, 2.0) == new
    assert counts(database) == {"dog": 4, "cat": 1, "eel": 0}


def test_a_former_name_goes_along_when_its_category_is_merged(
    database: sqlalchemy.Engine,
) -> None:
    upload(database, 1, label="kitty")
    upload(database, 2, label="cat")
    labels = LabelTables(database)
    labels.rename("pets", "id of kitty", "kitten")
    labels.merge(Merge("pets", "id of kitty", "id of cat", 2.0, None))
    (stored,) = upload(database, 3, label="kitty")
    assert stored.category == Category(id="id of cat", name="cat")
    assert labels.rename("pets", "id of cat", "kitty").name == "kitty"
    (stored,) = upload(database, 4, label="kitten")
    assert stored.category == Category(id="id of cat", name="kitty")
    assert counts(database) == {"kitty": 4}
