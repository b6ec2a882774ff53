"""`dicebox import` of archives, against the real service."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dicebox.command import dicebox
from sensory_service.blob_names import image_blob
from tests.archive_builders import tar_bytes, zip_bytes
from tests.builders import png_bytes, png_files


def run(tmp_path: Path, *words: str) -> Result:
    return CliRunner().invoke(dicebox, ["--data", str(tmp_path / "data"), *words])


def files(first: int = 1) -> list[tuple[str, bytes]]:
    return [
        (f"photos/{folder}/{name}", data)
        for seed, folder in enumerate(("cat", "dog"), start=first)
        for name, data in png_files(3, seed=seed)
    ]


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar"])
def test_an_archive_is_imported_like_a_folder(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"photos.{kind}"
    file.write_bytes(
        zip_bytes(files()) if kind == "zip" else tar_bytes(files(), packed=kind == "tar.gz")
    )
    first = run(tmp_path, "import", str(file), "--dataset", "pets", "--json")
    again = run(tmp_path, "import", str(file), "--dataset", "pets", "--json")
    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert json.loads(first.stdout.splitlines()[-1])["stored"] == 6
    report = json.loads(again.stdout.splitlines()[-1])
    assert (report["stored"], report["duplicates"], report["relabeled"]) == (0, 6, 0)


def test_an_archive_and_the_folder_it_came_from_are_the_same(tmp_path: Path) -> None:
    levels = [
        (f"{split}/{name}", data)
        for first, split in enumerate(("train", "test"))
        for name, data in files(10 * first)
    ]
    for name, data in levels:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
    (tmp_path / "tree.tar").write_bytes(tar_bytes(levels, packed=False))
    results = []
    for source in ("tree", "tree.tar"):
        file = tmp_path / "results.jsonl"
        words = ("--dataset", source.replace(".", "-"), "--results", str(file))
        run(tmp_path, "import", str(tmp_path / source), *words)
        results.append(sorted(file.read_text().splitlines()))
    assert results[0] == results[1]
    assert len(results[0]) == len(levels)


def test_every_file_has_a_line_that_says_what_became_of_it(tmp_path: Path) -> None:
    source, results = tmp_path / "photos.zip", tmp_path / "results.jsonl"
    source.write_bytes(zip_bytes([*files(), ("photos/cat/a.txt", b"hello")]))
    for outcome in ("stored", "duplicate"):
        run(tmp_path, "import", str(source), "--dataset", "pets", "--results", str(results))
        lines = [json.loads(line) for line in results.read_text().splitlines()]
        outcomes = {line["file"]: line["outcome"] for line in lines}
        assert outcomes.pop("photos/cat/a.txt") == "refused"
        assert outcomes == dict.fromkeys([name for name, _ in files()], outcome)
        assert all(len(line["image"]) == 64 for line in lines if line["outcome"] == outcome)


def test_what_is_refused_is_named_and_the_rest_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "photos.tar"
    hostile = [("../evil.png", png_bytes(seed=9)), ("photos/cat/a.txt", b"hello")]
    file.write_bytes(tar_bytes([*files(), *hostile], packed=False))
    result = run(tmp_path, "import", str(file), "--dataset", "pets", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["stored"] == 6
    assert {fault["file"] for fault in report["refused"]} == {"../evil.png", "photos/cat/a.txt"}


def test_a_storage_without_faults_is_said_to_have_none(tmp_path: Path) -> None:
    file = tmp_path / "photos.zip"
    file.write_bytes(zip_bytes(files()))
    run(tmp_path, "import", str(file), "--dataset", "pets")
    result = run(tmp_path, "fsck", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1]) == {"checked": 6, "faults": [], "young": []}
    image = next(p for p in (tmp_path / "data" / "blobs" / "images").rglob("*") if p.is_file())
    image.write_bytes(b"rot")
    result = run(tmp_path, "fsck", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout.splitlines()[-1])["faults"][0]["kind"] == "damaged"
    purged = run(tmp_path, "purge", image.name, "--yes", "--json")
    assert purged.exit_code == 0, purged.output
    assert run(tmp_path, "fsck").exit_code == 0


def test_what_is_being_uploaded_is_young_and_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "photos.zip"
    file.write_bytes(zip_bytes(files()))
    run(tmp_path, "import", str(file), "--dataset", "pets")
    under_way = tmp_path / "data" / "blobs" / image_blob("ab" * 32)
    under_way.parent.mkdir(parents=True)
    under_way.write_bytes(b"durable, and not in the tables yet")
    told = run(tmp_path, "fsck")
    assert (told.exit_code, told.stderr) == (0, "")
    assert "0 faults\n1 young blobs" in told.stdout
    listed = run(tmp_path, "fsck", "--json")
    assert json.loads(listed.stdout.splitlines()[-1])["young"] == [image_blob("ab" * 32)]
    os.utime(under_way, (0, 0))
    assert run(tmp_path, "fsck").exit_code == 1
