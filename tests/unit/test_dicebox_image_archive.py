"""`dicebox import` of archives, against the real service."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dicebox.command import dicebox
from tests.archive_builders import tar_bytes, zip_bytes
from tests.builders import png_bytes, png_files


def run(tmp_path: Path, *words: str) -> Result:
    return CliRunner().invoke(dicebox, ["--data", str(tmp_path / "data"), *words])


def files() -> list[tuple[str, bytes]]:
    return [
        (f"photos/{folder}/{name}", data)
        for seed, folder in enumerate(("cat", "dog"), start=1)
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
    assert json.loads(result.stdout.splitlines()[-1]) == {"checked": 6, "faults": []}
    image = next(p for p in (tmp_path / "data" / "blobs" / "images").rglob("*") if p.is_file())
    image.write_bytes(b"rot")
    result = run(tmp_path, "fsck", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout.splitlines()[-1])["faults"][0]["kind"] == "damaged"
    purged = run(tmp_path, "purge", image.name, "--yes", "--json")
    assert purged.exit_code == 0, purged.output
    assert run(tmp_path, "fsck").exit_code == 0
