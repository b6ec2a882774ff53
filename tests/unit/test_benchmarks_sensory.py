import io
import tarfile
from pathlib import Path

import pytest

from benchmarks.rows import Row
from benchmarks.sensory_catalog import summary as catalog_rows
from benchmarks.sensory_orders import summary as order_rows
from benchmarks.sensory_rows import DATASET_NAME, RARE, fill, relabel_some
from benchmarks.sensory_stream import summary as stream_rows
from benchmarks.sensory_uploads import archived_images, some_of
from benchmarks.sensory_uploads import summary as upload_rows
from commons.adapters.clock import SystemClock
from sensory_service.adapters.dataset_tables import DatasetTables
from sensory_service.app import Settings, create_platform


def by_measure(rows: list[Row], start: str) -> Row:
    return next(row for row in rows if row.measure.startswith(start))


def test_uploads_are_compared_with_the_disk() -> None:
    figures = {"disk": 1000.0, "single": 250.0, "form": 900.0, "command": 1600.0, "again": 2000.0}
    rows = upload_rows(figures)
    single = by_measure(rows, "upload, one a request")
    assert (single.met, single.ratio) == (False, 0.25)
    assert by_measure(rows, "import of MNIST, dicebox import").met is True


def test_an_order_is_judged_by_its_examples_a_second() -> None:
    figures = {
        "imported": 1500.0, "freeze_s": 4.0, "dropped": "page cache dropped", "examples": 60_000,
        "first": {"first_s": 2.5, "all_s": 3.0}, "second": {"first_s": 0.1, "all_s": 0.5},
    }  # fmt: skip
    rows = order_rows(figures)
    assert by_measure(rows, "first order, first shard (page cache dropped)").met is False
    assert by_measure(rows, "first order, all").ours == pytest.approx(20_000)
    assert by_measure(rows, "the same order by a second").ratio == pytest.approx(6.0)


def test_the_slowest_filter_is_named() -> None:
    figures = {
        "rows": 1000, "counts_ms": [1.0, 3.0], "pages_ms": {"all": [2.0, 2.0], "who": [9.0, 60.0]},
        "first_freeze_s": 9.0, "second_freeze_s": 11.0, "same_freeze_s": 1.0,
        "sql_counts_ms": 100.0, "sql_page_ms": 0.5, "sql_copy_s": 3.0,
    }  # fmt: skip
    rows = catalog_rows(figures)
    assert by_measure(rows, "slowest filter, median (who)").ours == pytest.approx(34.5)
    assert by_measure(rows, "slowest page").met is False
    assert by_measure(rows, "counts of 1,000").ratio == pytest.approx(0.02)
    assert by_measure(rows, "a page of 100: all").ratio == pytest.approx(4.0)
    assert by_measure(rows, "first snapshot").ratio == pytest.approx(3.0)
    assert by_measure(rows, "second snapshot").met is False


def test_a_large_import_is_flat_when_its_last_tenth_is_no_larger() -> None:
    figures = {"bytes": 2_000_000_000, "seconds": 40.0, "tenths_bytes": [1, 100, *[1] * 7, 106]}
    rows = stream_rows(figures)
    assert by_measure(rows, "import of 2 GB").ours == pytest.approx(50)
    assert by_measure(rows, "last tenth /").met is False
    assert by_measure(rows, "largest tenth").ours == pytest.approx(106e-6)


def test_made_up_rows_are_counted_as_the_service_counts(tmp_path: Path) -> None:
    database = create_platform(Settings(data=tmp_path), SystemClock()).database
    fill(database, 3000)
    before = DatasetTables(database).summary(DATASET_NAME)
    relabel_some(database, 30)
    after = DatasetTables(database).summary(DATASET_NAME)
    database.dispose()
    counts = [{one.name: one.images for one in summary.categories} for summary in (before, after)]
    assert before.images == after.images == 3000
    assert before.labeled == after.labeled < 3000
    assert counts[0][RARE] == 3
    assert counts[0]["c0"] > counts[1]["c0"]


def test_some_of_an_archive_is_of_every_folder(tmp_path: Path) -> None:
    whole = tmp_path / "whole.tar"
    with tarfile.open(whole, "w") as tar:
        for number in range(40):
            info = tarfile.TarInfo(f"train/{number % 2}/{number}.png")
            info.size = 2
            tar.addfile(info, io.BytesIO(b"%02d" % number))
    with some_of(whole, 50, tmp_path) as chosen:
        images = list(archived_images(chosen))
    assert [category for category, _ in images].count("0") == 5
    assert len(images) == 10
