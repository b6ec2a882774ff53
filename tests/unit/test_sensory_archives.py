"""Imports and exports of whole archives through the real app, hostile ones too."""

import io
import json
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from commons.image_tree import TreeRule
from commons.messages import FreezeRequest, ImportedFile, ImportSummary
from tests.archive_builders import Files, link, tar_bomb, tar_bytes, zip_bytes
from tests.builders import bomb_png, jpeg_bytes, png_bytes, png_files
from tests.sensory_house import BASE, House, open_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path / "data")


@pytest.fixture(scope="module")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return open_house(tmp_path_factory.mktemp("empty"))


def imported(house: House, data: bytes) -> tuple[dict[str, ImportedFile], ImportSummary]:
    reply = house.http.post(f"{BASE}/datasets/pets/imports", content=data)
    assert reply.status_code == 200, reply.text
    *lines, last = reply.text.splitlines()
    files = [ImportedFile.model_validate_json(line) for line in lines]
    return {file.file: file for file in files}, ImportSummary.model_validate_json(last)


def tree(seed: int = 1) -> Files:
    return [
        (f"{folder}/{name}", data)
        for number, folder in enumerate(("cat", "dog"))
        for name, data in png_files(4, seed=seed + number)
    ]


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip"])
def test_an_archive_is_imported_and_a_second_time_is_all_duplicates(
    house: House, kind: str
) -> None:
    data = zip_bytes(tree()) if kind == "zip" else tar_bytes(tree(), packed=kind == "tar.gz")
    files, summary = imported(house, data)
    assert (summary.complete, summary.stored, summary.refused) == (True, 8, 0)
    assert {name: file.outcome for name, file in files.items()} == dict.fromkeys(
        [name for name, _ in tree()], "stored"
    )
    again, summary = imported(house, data)
    assert (summary.stored, summary.duplicates, summary.relabeled) == (0, 8, 0)
    assert {file.image for file in again.values()} == {file.image for file in files.values()}
    assert [(c.name, c.images) for c in house.client.dataset("pets").categories] == [
        ("cat", 4),
        ("dog", 4),
    ]


def test_what_is_no_image_or_lies_in_no_category_is_refused_alone(house: House) -> None:
    files = [
        ("cat/good.png", png_bytes(seed=1)),
        ("cat/text.png", b"hello"),
        ("cat/bomb.png", bomb_png()),
        ("cat/inner.zip", zip_bytes([("cat/a.png", png_bytes(seed=9))])),
        ("dog/good.jpg", jpeg_bytes(seed=2)),
        ("readme.txt", b"hello"),
        (".hidden/a.png", png_bytes(seed=3)),
        ("__MACOSX/cat/._good.png", b"x"),
    ]
    found, summary = imported(house, tar_bytes(files))
    assert {name: file.kind for name, file in found.items()} == {
        "cat/good.png": None,
        "cat/text.png": "not-an-image",
        "cat/bomb.png": "too-many-pixels",
        "cat/inner.zip": "not-an-image",
        "dog/good.jpg": None,
        "readme.txt": "no-category",
    }
    assert (summary.complete, summary.stored, summary.refused) == (True, 2, 4)


@pytest.mark.parametrize("pack", [tar_bytes, zip_bytes], ids=["tar", "zip"])
def test_paths_that_lead_out_are_refused_and_nothing_is_written(house: House, pack) -> None:
    names = ["../evil.png", "/etc/evil.png", "cat/../../evil.png", "c:/evil.png", "cat\\..\\e.png"]
    files = [(name, png_bytes(seed=n)) for n, name in enumerate(names, start=5)]
    found, summary = imported(house, pack([*tree(), *files]))
    refused = {name for name, file in found.items() if file.outcome == "refused"}
    assert (summary.stored, len(refused)) == (8, 5)
    assert all(found[name].kind in {"unsafe-path", "no-category"} for name in refused)
    above = house.settings.data.parent
    assert [path.name for path in above.iterdir()] == ["data"]


def test_links_and_devices_are_refused_and_not_followed(house: House) -> None:
    device = tarfile.TarInfo("cat/device")
    device.type = tarfile.CHRTYPE
    more = [link("cat/a.png", "/etc/passwd"), link("cat/b.png", "x", tarfile.LNKTYPE), device]
    found, summary = imported(house, tar_bytes(tree(), more=more))
    assert summary.refused == 3
    assert found["cat/a.png"].detail == "expected a file, got a link"
    symbolic = zipfile.ZipInfo("cat/link.png")
    symbolic.external_attr = 0o120777 << 16
    file = io.BytesIO(zip_bytes(tree()))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(symbolic, "/etc/passwd")
    found, summary = imported(house, file.getvalue())
    assert found["cat/link.png"].detail == "expected a file, got a link"


def test_the_same_bytes_in_two_categories_are_a_conflict_that_the_first_one_wins(
    house: House,
) -> None:
    same = png_bytes(seed=3)
    data = tar_bytes([("cat/a.png", same), ("cat/b.png", same), ("dog/c.png", same)])
    for _ in range(2):
        found, summary = imported(house, data)
        assert found["dog/c.png"].kind == "conflict"
        assert "'cat'" in str(found["dog/c.png"].detail)
        assert (summary.relabeled, summary.refused) == (0, 1)
    assert found["cat/b.png"].outcome == "duplicate"


def test_a_wrong_category_name_refuses_its_own_files_alone(house: House) -> None:
    _, summary = imported(house, tar_bytes([*tree(), ("x" * 121 + "/a.png", png_bytes())]))
    assert (summary.stored, summary.refused) == (8, 1)


@pytest.mark.parametrize(
    ("data", "status", "kind"),
    [
        (b"", 400, "not-an-archive"),
        (b"hello", 400, "not-an-archive"),
        (png_bytes(), 400, "not-an-archive"),
        (zip_bytes(tree())[:200], 400, "damaged-archive"),
        (tar_bytes(tree())[:200], 400, "damaged-archive"),
        (tar_bytes([("a.png", png_bytes())]), 400, "invalid-input"),
        (zip_bytes([]), 400, "invalid-input"),
    ],
    ids=["empty", "text", "png", "cut zip", "cut tar.gz", "no folder", "empty zip"],
)
def test_what_is_no_archive_of_images_is_refused_as_a_whole(
    empty_house: House, data: bytes, status: int, kind: str
) -> None:
    reply = empty_house.http.post(f"{BASE}/datasets/pets/imports", content=data)
    assert (reply.status_code, reply.json()["type"]) == (status, kind)
    assert empty_house.client.datasets() == []


def test_a_bomb_is_refused_after_bounded_work(empty_house: House) -> None:
    bomb = tar_bomb(300 << 20)
    tracemalloc.start()
    reply = empty_house.http.post(f"{BASE}/datasets/pets/imports", content=bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (reply.status_code, reply.json()["type"]) == (413, "archive-bomb")
    assert peak < 32 << 20
    zeros = zip_bytes([(f"cat/{n}.png", bytes(20 << 20)) for n in range(5)])
    reply = empty_house.http.post(f"{BASE}/datasets/pets/imports", content=zeros)
    assert (reply.status_code, reply.json()["type"]) == (413, "archive-bomb")


def test_a_wrong_dataset_name_refuses_the_import(empty_house: House) -> None:
    path = f"{BASE}/datasets/Pets/imports"
    assert empty_house.http.post(path, content=tar_bytes(tree())).status_code == 400


def test_an_archive_may_be_larger_than_a_request_but_not_than_its_own_limit(house: House) -> None:
    data = tar_bytes(tree(), packed=False)
    small = house.with_parts(max_body_bytes=1000)
    assert imported(small, data)[1].stored == 8
    reply = house.with_parts(max_import_bytes=1000).http.post(
        f"{BASE}/datasets/pets/imports", content=data
    )
    assert reply.status_code == 413


def exported(house: House, snapshot: str, form: str) -> dict[str, bytes]:
    reply = house.http.get(f"{BASE}/snapshots/{snapshot}/export?format={form}")
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def test_an_exported_snapshot_is_the_same_after_an_import(house: House, tmp_path: Path) -> None:
    house.fill("pets", {"<b>cat": 10, "Käse …": 10})
    snapshot = house.client.freeze("pets", FreezeRequest())
    reply = house.http.get(f"{BASE}/snapshots/{snapshot.id}/export")
    assert reply.headers["Content-Type"] == "application/x-tar"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    other = open_house(tmp_path / "other")
    _, summary = imported(other, reply.content)
    assert (summary.stored, summary.refused) == (20, 0)
    again = other.client.freeze("pets", FreezeRequest())
    assert again.counts == snapshot.counts
    assert [c.name for c in again.categories] == [c.name for c in snapshot.categories]


def test_no_name_of_a_category_is_a_path_of_an_export(house: House) -> None:
    house.fill("pets", {"..": 5, "dog": 5})
    snapshot = house.client.freeze("pets", FreezeRequest())
    files = exported(house, snapshot.id, "imagefolder")
    names = json.loads(files["categories.json"])["categories"]
    assert [(one["folder"], one["name"]) for one in names] == [("0000", ".."), ("0001", "dog")]
    assert all(".." not in name for name in files)


def test_a_coco_export_says_what_its_images_are(house: House) -> None:
    snapshot = house.frozen()
    files = exported(house, snapshot.id, "coco")
    labels = {}
    for split, count in snapshot.counts.items():
        coco = json.loads(files[f"annotations/{split}.json"])
        assert len(coco["images"]) == len(coco["annotations"]) == count
        names = {one["id"]: one["name"] for one in coco["categories"]}
        of = {one["image_id"]: names[one["category_id"]] for one in coco["annotations"]}
        for image in coco["images"]:
            assert (image["height"], image["width"]) == (8, 8)
            labels[image["file_name"]] = of[image["id"]]
    assert set(labels) == {name.removeprefix("images/") for name in files if "images/" in name}
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    assert labels[f"{line.image}.png"] == snapshot.categories[line.category].name


@pytest.mark.parametrize("query", ["format=zip", "formt=coco"])
def test_a_wrong_export_is_refused(house: House, query: str) -> None:
    snapshot = house.frozen()
    assert house.http.get(f"{BASE}/snapshots/{snapshot.id}/export?{query}").status_code == 400
    assert house.http.get(f"{BASE}/snapshots/{'0' * 64}/export").status_code == 404


@pytest.mark.parametrize(
    ("paths", "places"),
    [
        (["cat/1", "dog/a/2"], [("cat", None), ("dog", None)]),
        (["train/cat/1", "test/cat/2"], [("cat", None), ("cat", "test")]),
        (["Train/cat/1", "val/cat/2"], [("cat", "train"), ("cat", "validation")]),
        (["photos/cat/1", "photos/dog/2"], [("cat", None), ("dog", None)]),
        (["x/train/cat/1", "x/test/cat/2"], [("cat", None), ("cat", "test")]),
        (["./cat/1", "cat//2", "3"], [("cat", None), ("cat", None), None]),
        (["train/cat/1"], [("cat", None)]),
        (["train/1", "dog/2"], [("train", None), ("dog", None)]),
    ],
)
def test_a_tree_says_what_its_folders_mean(paths: list[str], places: list) -> None:
    rule = TreeRule(paths)
    assert [rule.place(path) for path in paths] == places
