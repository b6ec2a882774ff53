"""An ImageFolder tree: which files go where, and what is refused before anything is sent."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from commons.adapters.services import Caller, SensoryClient
from commons.errors import InvalidInputError
from commons.messages import UploadReply
from dicebox.image_folder import FolderTree, read_tree
from dicebox.tree_upload import ImportReport, upload_tree
from sensory_service.app import Settings, create_app
from tests.builders import png_bytes, png_files

SMALL_BODY = 20_000


def grow(root: Path, *files: str) -> Path:
    """Make files and return the root."""
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def found(root: Path) -> list[tuple[str, str | None, list[str]]]:
    """Return what was read, files by name."""
    return [(f.category, f.split, [file.name for file in f.files]) for f in read_tree(root)]


def test_one_folder_a_category_in_the_order_of_names(tmp_path: Path) -> None:
    root = grow(tmp_path, "dog/2.png", "dog/1.png", "cat/1.png")
    assert found(root) == [("cat", None, ["1.png"]), ("dog", None, ["1.png", "2.png"])]


def test_a_level_of_splits_is_kept_and_its_other_names_are_known(tmp_path: Path) -> None:
    root = grow(tmp_path, "Training/cat/1", "val/cat/2", "test/cat/3")
    assert found(root) == [
        ("cat", "train", ["1"]),
        ("cat", "test", ["3"]),
        ("cat", "validation", ["2"]),
    ]


def test_one_folder_around_everything_is_no_category_as_in_an_archive(tmp_path: Path) -> None:
    root = grow(tmp_path, "photos/train/cat/1", "photos/validation/cat/2")
    assert found(root) == [("cat", "train", ["1"]), ("cat", "validation", ["2"])]


def test_an_unpacked_export_gets_its_names_again(tmp_path: Path) -> None:
    root = grow(tmp_path, "train/0000/1", "test/0000/2")
    names = {"categories": [{"folder": "0000", "id": "x", "name": "cat & dog"}]}
    (root / "categories.json").write_text(json.dumps(names))
    assert found(root) == [("cat & dog", "test", ["2"]), ("cat & dog", None, ["1"])]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    grow(tmp_path, "elsewhere/1", "elsewhere/in/2")
    root = grow(tmp_path / "root", "dog/1")
    (root / "cat").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "round").symlink_to(root)
    assert found(root) == [("cat", None, ["1", "2"]), ("dog", None, ["1"])]


def test_without_a_validation_level_the_freeze_draws_one_from_training(tmp_path: Path) -> None:
    root = grow(tmp_path, "train/cat/1", "test/cat/2")
    assert found(root) == [("cat", "test", ["2"]), ("cat", None, ["1"])]


def test_a_category_that_is_named_like_a_split_among_others_is_a_category(tmp_path: Path) -> None:
    root = grow(tmp_path, "test/1", "other/1")
    assert [(category, split) for category, split, _ in found(root)] == [
        ("other", None),
        ("test", None),
    ]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    root = grow(tmp_path, "cat/1", "cat/.DS_Store", "cat/.thumbs/1", ".git/config", "cat/in/2")
    assert found(root) == [("cat", None, ["1", "2"])]


def test_a_file_may_be_called_anything(tmp_path: Path) -> None:
    root = grow(tmp_path, "cat/a\\b.png", "cat/c:", "loose\\file")
    assert found(root) == [("cat", None, ["a\\b.png", "c:"])]


def test_empty_categories_and_loose_files_are_passed_over(tmp_path: Path) -> None:
    root = grow(tmp_path, "cat/1", "README")
    (root / "dog").mkdir()
    assert found(root) == [("cat", None, ["1"])]


@pytest.mark.parametrize("files", [[], ["loose.png"], ["cat/.hidden"], ["train/loose.png"]])
def test_a_folder_without_categories_is_refused(tmp_path: Path, files: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="one folder a category with images"):
        read_tree(grow(tmp_path / "root", *files, "beside"))
    with pytest.raises(InvalidInputError, match="one folder a category"):
        read_tree(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["back\\slash", "bell\x07", " ", "x" * 121])
def test_a_folder_whose_name_no_category_can_bear_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="rename the folder"):
        read_tree(grow(tmp_path, "cat/1", f"{name}/1"))


def test_a_folder_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    grow(tmp_path, "cat/1", "bad\udcff/1")
    with pytest.raises(InvalidInputError, match="rename the folder"):
        read_tree(tmp_path)


def test_odd_names_that_are_text_are_categories(tmp_path: Path) -> None:
    names = ["..evil", "x'; DROP TABLE image", "Ünïcode 猫"]
    root = grow(tmp_path, *(f"a{name}/1" for name in names))
    assert [category for category, _, _ in found(root)] == sorted(f"a{name}" for name in names)


@pytest.fixture
def sensory(tmp_path: Path) -> Iterator[SensoryClient]:
    """Give the real service, which takes few bytes at once."""
    app = create_app(Settings(data=tmp_path / "data", max_body_bytes=SMALL_BODY))
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://localhost") as http:
        yield SensoryClient(Caller(http))


def upload(sensory: SensoryClient, root: Path) -> tuple[list[int], ImportReport]:
    report, counts = ImportReport(), []
    for files in upload_tree(sensory, "pets", FolderTree(root)):
        counts.append(len(files))
        report.add(files)
    return counts, report


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    (tmp_path / "pets" / "cats").mkdir(parents=True)
    return tmp_path / "pets"


def fill(pets: Path, files: list[tuple[str, bytes]], category: str = "cats") -> Path:
    (pets / category).mkdir(exist_ok=True)
    for name, data in files:
        (pets / category / name).write_bytes(data)
    return pets


def test_a_large_category_goes_in_several_requests(
    sensory: SensoryClient, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = png_files(8)
    fill(pets, files)
    monkeypatch.setattr("dicebox.tree_upload._MOST_FILES", 3)
    counts, report = upload(sensory, pets)
    assert (counts, report.stored, report.refused) == ([3, 3, 2], 8, [])
    monkeypatch.setattr("dicebox.tree_upload._MOST_BYTES", len(files[0][1]) + 1)
    counts, report = upload(sensory, pets)
    assert (counts, report.duplicates) == ([2, 2, 2, 2], 8)


def test_what_is_there_already_is_counted_as_that(sensory: SensoryClient, pets: Path) -> None:
    upload(sensory, fill(pets, png_files(3)))
    _, again = upload(sensory, pets)
    assert (again.stored, again.duplicates, again.relabeled) == (0, 3, 0)


def test_an_import_that_was_interrupted_sends_what_is_missing_and_nothing_else(
    sensory: SensoryClient, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicebox.tree_upload._MOST_FILES", 4)
    fill(pets, png_files(20))
    uploading = upload_tree(sensory, "pets", FolderTree(pets))
    first = next(uploading)
    uploading.close()
    there = sensory.dataset("pets").images
    assert len(first) == 4 <= there < 20
    sent: list[int] = []
    monkeypatch.setattr(sensory, "upload", recorded(sensory, sent))
    counts, report = upload(sensory, pets)
    assert (sum(counts), report.duplicates, report.stored) == (20, there, 20 - there)
    assert sum(sent) == 20 - there
    sent.clear()
    upload(sensory, pets)
    assert sent == []


def test_what_is_there_with_another_label_or_without_its_split_is_sent_again(
    sensory: SensoryClient, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(sensory, fill(pets, png_files(3)))
    sent: list[int] = []
    monkeypatch.setattr(sensory, "upload", recorded(sensory, sent))
    (pets / "cats").rename(pets / "tigers")
    _, report = upload(sensory, pets)
    assert (sent, report.relabeled) == ([3], 3)
    (pets / "train").mkdir()
    (pets / "tigers").rename(pets / "train" / "tigers")
    grow(pets, "test/lions/1.png").joinpath("test/lions/1.png").write_bytes(png_bytes(seed=99))
    for _ in range(2):
        upload(sensory, pets)
    assert sorted(sent) == [1, 3, 3], "now their split is known"


def recorded(sensory: SensoryClient, sent: list[int]) -> Callable[..., UploadReply]:
    """Return what uploads as it would, and notes how many files."""
    upload = sensory.upload

    def recording(dataset: str, files: list[tuple[str, bytes]], *place: Any) -> UploadReply:
        sent.append(len(files))
        return upload(dataset, files, *place)

    return recording


def test_the_same_image_in_two_categories_is_told_and_the_first_one_counts(
    sensory: SensoryClient, pets: Path
) -> None:
    fill(pets, [("1.png", png_bytes()), ("2.png", png_bytes(seed=1))])
    fill(pets, [("same.png", png_bytes())], "dogs")
    for _ in range(2):
        _, report = upload(sensory, pets)
        (fault,) = report.refused
        assert (fault.file, fault.kind) == ("dogs/same.png", "conflict")
        assert "'cats'" in str(fault.detail)
    assert [(c.name, c.images) for c in sensory.dataset("pets").categories] == [("cats", 2)]


def test_a_file_that_cannot_be_read_costs_the_others_nothing(
    sensory: SensoryClient, pets: Path
) -> None:
    fill(pets, [("1.png", png_bytes())])
    (pets / "cats" / "gone.png").symlink_to("nowhere")
    _, report = upload(sensory, pets)
    (fault,) = report.refused
    assert (report.stored, fault.kind) == (1, "unreadable")
    assert "No such file" in str(fault.detail)


def test_a_file_above_the_limit_of_the_service_costs_the_others_nothing(
    sensory: SensoryClient, pets: Path
) -> None:
    files = [("a.png", png_bytes(seed=1)), ("b.png", bytes(SMALL_BODY)), ("c.png", png_bytes())]
    counts, report = upload(sensory, fill(pets, files))
    assert (counts, report.stored) == ([3], 2)
    (fault,) = report.refused
    assert (fault.file, "20,000 bytes" in str(fault.detail)) == ("cats/b.png", True)


def test_a_file_above_what_fits_into_any_request_is_not_read(
    sensory: SensoryClient, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicebox.tree_upload._MOST_IMAGE_BYTES", 1000)
    _, report = upload(sensory, fill(pets, [("a.png", bytes(1001)), ("b.png", png_bytes())]))
    (fault,) = report.refused
    assert (report.stored, fault.detail) == (1, "expected at most 1,000 bytes, got 1,001")


def test_a_file_whose_name_is_no_text_is_sent_all_the_same(
    sensory: SensoryClient, pets: Path
) -> None:
    _, report = upload(sensory, fill(pets, [("\udcff.png", png_bytes()), ("\udcfe", b"x")]))
    assert report.stored == 1
    assert "udcfe" in report.refused[0].file
