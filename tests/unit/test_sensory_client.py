"""The words of the sensory client against the real service, without a socket."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from commons.adapters.services import Caller, SensoryClient
from commons.adapters.snapshot_download import save_export
from commons.errors import GoneError, InvalidInputError, NotFoundError, UnavailableError
from commons.messages import ImportedFile, SmallBatchRequest
from tests.archive_builders import tar_bytes
from tests.builders import png_bytes, png_files
from tests.sensory_house import House, open_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path / "data")


@pytest.fixture
def sensory(house: House) -> SensoryClient:
    return house.client


def archive(tmp_path: Path, count: int = 4) -> Path:
    files = [
        (f"{folder}/{name}", data)
        for seed, folder in enumerate(("cat", "dog"))
        for name, data in png_files(count, seed=seed)
    ]
    file = tmp_path / "photos.tar.gz"
    file.write_bytes(tar_bytes([*files, ("cat/notes.txt", b"no image")]))
    return file


def test_an_archive_is_streamed_and_every_file_has_its_result(
    sensory: SensoryClient, tmp_path: Path
) -> None:
    file = archive(tmp_path)
    results: list[ImportedFile] = []
    sent: list[int] = []
    summary = sensory.import_archive("pets", file, imported=results.append, sent=sent.append)
    assert (summary.complete, summary.stored, summary.refused) == (True, 8, 1)
    assert sum(sent) == file.stat().st_size
    assert len(results) == 9
    assert [result.file for result in results if result.outcome == "refused"] == ["cat/notes.txt"]
    again = sensory.import_archive("pets", file)
    assert (again.stored, again.duplicates) == (0, 8)


def test_an_archive_that_is_none_is_the_error_of_the_service(
    sensory: SensoryClient, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no archive")
    with pytest.raises(InvalidInputError, match="expected a zip, tar"):
        sensory.import_archive("pets", file)


def test_an_import_that_is_cut_off_is_told_and_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    line = ImportedFile(file="cat/1.png", outcome="stored").model_dump_json() + "\n"
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=line))
    with (
        httpx.Client(transport=transport, base_url="http://localhost") as http,
        pytest.raises(UnavailableError, match="import again"),
    ):
        SensoryClient(Caller(http)).import_archive("pets", archive(tmp_path))


def test_labels_are_given_taken_away_and_followed(sensory: SensoryClient) -> None:
    reply = sensory.upload("pets", png_files(3), "cat")
    first = reply.stored[0].image
    assert sensory.label("pets", first, "dog").relabeled
    assert sensory.label("pets", first, None).category is None
    events = sensory.history("pets", first).events
    assert [event.category and event.category.name for event in events] == ["cat", "dog", None]
    assert [image.image for image in sensory.images("pets", labeled=False)] == [first]
    assert {image.image for image in sensory.images("pets", category="cat")} == {
        image.image for image in reply.stored[1:]
    }
    sensory.remove("pets", first)
    assert not sensory.history("pets", first).present
    assert sensory.thumbnail(reply.stored[1].image, 16)[8:12] == b"WEBP"


def test_all_pages_of_a_dataset_come_in_one_go(sensory: SensoryClient) -> None:
    for page in range(3):
        sensory.upload("pets", png_files(400, shape=(2, 2, 3), seed=page))
    found = [image.image for image in sensory.images("pets")]
    assert (len(found), len(set(found))) == (1200, 1200)


def test_categories_are_added_renamed_and_merged(sensory: SensoryClient) -> None:
    sensory.upload("pets", png_files(2), "cat")
    kitten = sensory.add_category("pets", "kitten & young?")
    assert sensory.add_category("pets", "kitten & young?") == kitten
    assert sensory.rename_category("pets", kitten.id, "feline").id == kitten.id
    (cat,) = [one for one in sensory.dataset("pets").categories if one.name == "cat"]
    assert sensory.merge_categories("pets", cat.id, kitten.id).id == kitten.id
    assert [(c.name, c.images) for c in sensory.dataset("pets").categories] == [("feline", 2)]


def test_what_is_no_id_reaches_no_other_route(sensory: SensoryClient) -> None:
    sensory.upload("pets", png_files(1), "cat")
    for odd in ("../../snapshots", "a/b", "?x=1", "%2e%2e"):
        with pytest.raises((NotFoundError, InvalidInputError)):
            sensory.history("pets", odd)
        with pytest.raises((NotFoundError, InvalidInputError)):
            sensory.snapshot(odd)


def frozen(sensory: SensoryClient, count: int = 10) -> str:
    for seed, category in enumerate(("cat", "dog")):
        sensory.upload("pets", png_files(count, seed=seed), category)
    return sensory.freeze("pets").id


def test_two_snapshots_are_compared(sensory: SensoryClient) -> None:
    before = frozen(sensory)
    sensory.upload("pets", png_files(2, seed=7), "dog")
    after = sensory.freeze("pets").id
    diff = sensory.diff(before, after)
    assert (diff.added, diff.removed, len(diff.changes)) == (2, 0, 2)
    assert sensory.diff(before, after, limit=0).changes == []
    assert sensory.snapshot_state(before).purged == 0


def test_a_small_batch_is_arrays_and_the_same_for_the_same_seed(sensory: SensoryClient) -> None:
    snapshot = frozen(sensory)
    request = SmallBatchRequest(size=5, shape=(9, 7, 3), seed=3, noise=0.5)
    batch = sensory.batch(snapshot, request)
    assert (batch.images.shape, batch.images.dtype) == ((5, 9, 7, 3), np.uint8)
    assert (batch.labels.shape, batch.labels.dtype, len(batch.hashes)) == ((5,), np.int64, 5)
    again = sensory.batch(snapshot, request)
    assert again.hashes == batch.hashes
    assert (again.images == batch.images).all()
    assert sensory.image(batch.hashes[0]).startswith(b"\x89PNG")
    assert sensory.batch(snapshot).images.shape[1:] == (8, 8, 1)


@pytest.mark.parametrize("form", ["imagefolder", "coco"])
def test_a_snapshot_is_saved_whole_and_checked(
    sensory: SensoryClient, tmp_path: Path, form: str
) -> None:
    snapshot, file, received = frozen(sensory), tmp_path / "pets.tar", []
    size = sensory.export(snapshot, file, form, received=received.append)  # type: ignore[arg-type]
    assert file.stat().st_size == size == sum(received)
    with tarfile.open(file) as tar:
        assert sum(name.endswith(".png") for name in tar.getnames()) == 20
    assert list(tmp_path.glob("*.part")) == []


def test_an_export_is_imported_again_as_it_was(sensory: SensoryClient, tmp_path: Path) -> None:
    sensory.export(frozen(sensory), tmp_path / "pets.tar")
    with tarfile.open(tmp_path / "pets.tar") as tar:
        names = json.loads(tar.extractfile("categories.json").read())  # type: ignore[union-attr]
    assert [one["name"] for one in names["categories"]] == ["cat", "dog"]
    summary = sensory.import_archive("copy", tmp_path / "pets.tar")
    assert (summary.stored, summary.refused) == (20, 0)
    assert [(c.name, c.images) for c in sensory.dataset("copy").categories] == [
        ("cat", 10),
        ("dog", 10),
    ]


def test_a_snapshot_with_erased_images_is_not_saved(sensory: SensoryClient, tmp_path: Path) -> None:
    snapshot = frozen(sensory)
    sensory.purge(next(sensory.snapshot_images(snapshot, "train")).image)
    with pytest.raises(GoneError, match="were erased"):
        sensory.export(snapshot, tmp_path / "pets.tar")
    assert list(tmp_path.glob("pets*")) == []


def parts(data: bytes) -> Iterator[bytes]:
    file = io.BytesIO(data)
    return iter(lambda: file.read(700), b"")


@pytest.mark.parametrize("fault", ["cut", "flipped", "fewer"])
def test_an_export_that_is_cut_off_or_damaged_leaves_no_file(
    sensory: SensoryClient, tmp_path: Path, fault: str
) -> None:
    snapshot, file = frozen(sensory), tmp_path / "pets.tar"
    sensory.export(snapshot, file)
    data = bytearray(file.read_bytes())
    file.write_bytes(b"the one before")
    images = 20
    if fault == "cut":
        del data[len(data) // 2 :]
    elif fault == "flipped":
        data[data.index(png_bytes()[:8]) + 60] ^= 1
    else:
        images = 21
    with pytest.raises(UnavailableError, match="export"):
        save_export(parts(bytes(data)), images, file, lambda _: None)
    assert file.read_bytes() == b"the one before"
    assert list(tmp_path.glob("*.part")) == []
