"""Old code and new code on one schema while it is migrated; on every database."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import alembic.command
import alembic.config
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from commons.adapters.database import migrate, one_at_a_time, reading, version_table
from commons.messages import Category
from sensory_service.adapters.blob_tables import BlobTables
from sensory_service.adapters.dataset_tables import DatasetTables
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.snapshot_tables import SnapshotTables
from sensory_service.adapters.tables import METADATA
from sensory_service.app import MIGRATIONS
from sensory_service.ports import Filter, ImageRecord, Relabel, Removal, Upload
from tests.databases import database_urls, opened_database
from tests.first_code import FirstCode

PROCESSES = 4
_MIGRATE = """
import sys
from pathlib import Path
from commons.adapters.database import create_database, migrate
migrate(create_database(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    """Give a database with the first tables."""
    for database in opened_database(request):
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["version_table"] = version_table(database, MIGRATIONS)
        with one_at_a_time(database) as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "0001")
        yield database


def sha(number: int) -> str:
    return f"{number:064x}"


def new_upload(database: sqlalchemy.Engine, number: int, name: str | None) -> None:
    image = ImageRecord(sha(number), "PNG", 8, 9, 1, 100)
    category = Category(id=f"new {name}", name=name) if name else None
    ImageTables(database).record(Upload("pets", [image], category, None, 2.0))


def shown_by_new(database: sqlalchemy.Engine) -> dict[str, str | None]:
    page = ImageTables(database).browse(Filter("pets"), None, 1_000_000)
    return {row.image: row.category and row.category.name for row in page.images}


def counted_by_new(database: sqlalchemy.Engine) -> tuple[int, dict[str, int]]:
    summary = DatasetTables(database).summary("pets")
    return summary.images, {category.name: category.images for category in summary.categories}


def check_that_both_agree(database: sqlalchemy.Engine) -> None:
    old = FirstCode(database)
    shown = old.browse()
    assert shown_by_new(database) == shown
    names = [name for name in shown.values() if name]
    counts = {name: names.count(name) for name in set(names)}
    for images, categories in (old.counts(), counted_by_new(database)):
        assert images == len(shown)
        assert {name: count for name, count in categories.items() if count} == counts


def test_old_code_goes_on_on_the_new_tables_beside_the_new_code(
    database: sqlalchemy.Engine,
) -> None:
    old = FirstCode(database)
    for number in range(10):
        old.upload(sha(number), "cat")
    old.freeze_and_order("s1", sha(1))
    migrate(database, MIGRATIONS)
    check_that_both_agree(database)
    for number in range(5, 15):
        old.upload(sha(number), "dog")
    for number in range(10, 20):
        new_upload(database, number, "eel")
    check_that_both_agree(database)
    new_upload(database, 19, None)
    new_upload(database, 20, None)
    check_that_both_agree(database)
    old.upload(sha(20), "cat")
    check_that_both_agree(database)
    tables = ImageTables(database)
    tables.relabel(Relabel("pets", sha(1), Category(id="x", name="dog"), 3.0))
    tables.remove(Removal("pets", sha(2), 3.0))
    check_that_both_agree(database)
    old.upload(sha(2), "cat")  # it knows of no tombstone
    old.freeze_and_order("s2", sha(2))
    check_that_both_agree(database)
    tables.remove(Removal("pets", sha(2), 4.0))
    new_upload(database, 2, "dog")
    check_that_both_agree(database)
    assert set(BlobTables(database).hashes("shards", "")) == {sha(1), sha(2)}
    categories = [c.id for c in DatasetTables(database).summary("pets").categories]
    assert len(SnapshotTables(database).labeled("pets", categories)) == 21


def test_old_code_works_on_while_the_tables_are_migrated(
    database: sqlalchemy.Engine, tell: Callable[[str], None]
) -> None:
    old = FirstCode(database)
    old.upload(sha(0), "cat")
    stop, done = threading.Event(), 0

    def work() -> None:
        nonlocal done
        while not stop.is_set():
            done += 1
            old.upload(sha(done), "cat" if done % 2 else "dog")
            assert sha(done) in old.browse()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            wait_for(lambda: done >= 5 or working.done())
            migrate(database, MIGRATIONS)
            before = done
            for number in range(10):
                new_upload(database, 1_000_000 + number, "eel")
            wait_for(lambda: done >= before + 5 or working.done())
        finally:
            stop.set()
        working.result()
    check_that_both_agree(database)
    assert len(old.browse()) == done + 1 + 10
    tell(f"{done} uploads of old code before, during and after, 0 failed, 0 lost")


def test_a_migration_steps_back_from_tables_that_others_use(
    database: sqlalchemy.Engine,
) -> None:
    FirstCode(database).upload(sha(0), "cat")
    if database.dialect.name == "sqlite":  # one writer at a time: nothing can be crossed
        migrate(database, MIGRATIONS)
        return
    with database.connect() as reader, ThreadPoolExecutor(1) as pool:
        # A reader holds what the migration wants last, and then asks for what it got first.
        reader.exec_driver_sql("SELECT count(*) FROM snapshot")
        migrating = pool.submit(migrate, database, MIGRATIONS)
        assert not wait([migrating], timeout=1.0).done
        reader.exec_driver_sql("SELECT count(*) FROM category")
        reader.rollback()
        migrating.result()
    check_that_both_agree(database)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come true in time")


def test_of_many_processes_that_migrate_at_once_one_does_it(database: sqlalchemy.Engine) -> None:
    FirstCode(database).upload(sha(0), "cat")
    url = database.url.render_as_string(hide_password=False).replace("+psycopg", "")
    command = [sys.executable, "-c", _MIGRATE, url, str(MIGRATIONS)]
    started = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    results = [(process.communicate()[1], process.returncode) for process in started]
    assert results == [("", 0)] * PROCESSES
    with reading(database) as connection:
        options = {"version_table": version_table(database, MIGRATIONS)}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []
    check_that_both_agree(database)
