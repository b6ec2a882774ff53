"""Uploads of many requests at once: recorded together where they are alike, each for itself."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from commons.errors import StorageFullError
from commons.messages import Category, StoredImage
from sensory_service.ports import ErasedMeanwhileError, ImageRecord, Upload
from sensory_service.recording import UploadRecorder
from tests.builders import png_bytes
from tests.sensory_house import open_house


class SlowCatalog:
    """Records the first upload only when it is told to, and refuses some images."""

    def __init__(self, refused: str | None = None) -> None:
        self.recorded: list[list[str]] = []
        self.began, self.go_on = threading.Event(), threading.Event()
        self.refused = refused

    def record(self, upload: Upload) -> list[StoredImage]:
        images = [image.sha256 for image in upload.images]
        self.began.set()
        assert self.go_on.wait(10)
        if self.refused in images:
            raise ErasedMeanwhileError({self.refused: 1.0})
        self.recorded.append(images)
        return [
            StoredImage(
                image=image.ljust(64, "0"),
                dataset=upload.dataset,
                category=upload.category,
                split=upload.split,
                height=1,
                width=1,
                channels=1,
                duplicate=False,
                relabeled=False,
            )
            for image in images
        ]

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was not expected")


def upload(*images: str, category: str | None = "cat", who: str | None = None) -> Upload:
    records = [ImageRecord(image, "png", 1, 1, 1, 10) for image in images]
    label = Category(id="-".join(images), name=category) if category else None
    return Upload("pets", records, label, None, 0.0, who)


def recorded(
    catalog: SlowCatalog, first: Upload, *others: Upload
) -> tuple[Future[list[StoredImage]], list[Future[list[StoredImage]]]]:
    """Record uploads that come while the first one is being recorded."""
    recorder = UploadRecorder(catalog)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1 + len(others)) as pool:
        begun = pool.submit(recorder.record, first)
        assert catalog.began.wait(10)
        waiting = [pool.submit(recorder.record, other) for other in others]
        while len(recorder._waiting) < len(others):
            pass
        catalog.go_on.set()
    return begun, waiting


def images(future: Future[list[StoredImage]]) -> list[str]:
    return [stored.image.rstrip("0") for stored in future.result()]


def test_uploads_that_wait_are_recorded_as_one_and_answered_apart() -> None:
    catalog = SlowCatalog()
    first, others = recorded(catalog, upload("a"), upload("b"), upload("c", "d"), upload("e"))
    assert images(first) == ["a"]
    assert [images(other) for other in others] == [["b"], ["c", "d"], ["e"]]
    assert catalog.recorded[0] == ["a"]
    assert [sorted(images) for images in catalog.recorded[1:]] == [["b", "c", "d", "e"]]


def test_uploads_that_say_different_things_are_recorded_apart() -> None:
    catalog = SlowCatalog()
    others = [upload("b", category="dog"), upload("c", who="key"), upload("d", category=None)]
    _, waiting = recorded(catalog, upload("a"), *others)
    assert [images(other) for other in waiting] == [["b"], ["c"], ["d"]]
    assert sorted(catalog.recorded) == [["a"], ["b"], ["c"], ["d"]]


def test_an_upload_to_another_dataset_does_not_wait() -> None:
    class Held(SlowCatalog):
        def record(self, upload: Upload) -> list[StoredImage]:
            if upload.dataset == "others":
                self.go_on.set()
            return super().record(upload)

    catalog = Held()
    recorder = UploadRecorder(catalog)  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(recorder.record, upload("a"))
        assert catalog.began.wait(10)
        other = pool.submit(recorder.record, replace(upload("b"), dataset="others"))
        assert (images(first), images(other)) == (["a"], ["b"])


def test_an_upload_that_fails_fails_alone() -> None:
    catalog = SlowCatalog(refused="c")
    first, (good, bad) = recorded(catalog, upload("a"), upload("b"), upload("c"))
    assert (images(first), images(good)) == (["a"], ["b"])
    with pytest.raises(ErasedMeanwhileError):
        bad.result()
    assert sorted(catalog.recorded) == [["a"], ["b"]]


def test_after_a_failure_the_next_one_is_recorded() -> None:
    catalog = SlowCatalog(refused="a")
    first, (other,) = recorded(catalog, upload("a"), upload("b", category="dog"))
    with pytest.raises(ErasedMeanwhileError):
        first.result()
    assert images(other) == ["b"]


def test_many_requests_at_once_store_each_image_once(tmp_path: Path) -> None:
    house = open_house(tmp_path)
    files = [png_bytes((4, 4, 1), number % 40) for number in range(80)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(
            pool.map(
                lambda item: house.client.upload(
                    "pets", [("a.png", item[1])], f"c{item[0] % 2}"
                ).stored[0],
                enumerate(files),
            )
        )
    assert len({reply.image for reply in replies}) == 40
    assert sum(not reply.duplicate for reply in replies) == 40
    summary = house.client.dataset("pets")
    assert (summary.images, summary.labeled) == (40, 40)
    assert sum(category.images for category in summary.categories) == 40
    house.platform.database.dispose()


def test_a_full_disk_is_said_to_each_that_waits() -> None:
    class Full(SlowCatalog):
        def record(self, upload: Upload) -> list[StoredImage]:
            super().record(upload)
            raise StorageFullError("no space is left")

    first, others = recorded(Full(), upload("a"), upload("b"), upload("c"))
    for each in (first, *others):
        with pytest.raises(StorageFullError, match="no space"):
            each.result()
