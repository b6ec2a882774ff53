"""`dicebox import` as a process: interrupted, on a full disk, beside a running house."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.builders import png_files
from tests.dicebox_processes import Dicebox, ended
from tests.small_disk import mounted_disk

pytestmark = pytest.mark.e2e
IMAGES = 1200


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a tree that takes some seconds to import."""
    root = tmp_path_factory.mktemp("photos")
    for number, category in enumerate(("cat", "dog")):
        (root / category).mkdir()
        for name, data in png_files(IMAGES // 2, shape=(16, 16, 3), seed=number):
            (root / category / name).write_bytes(data)
    return root


def counts(end_json: dict) -> int:
    return end_json["stored"] + end_json["duplicates"]


def test_ctrl_c_at_any_moment_of_an_import_loses_nothing_and_the_next_one_goes_on(
    dicebox: Dicebox, photos: Path
) -> None:
    for moment in (0.1, 0.5, 0.9, 1.2, 1.5):
        process = dicebox.start("import", photos, "--dataset", "pets", "--json")
        time.sleep(moment)  # the moment is what is tested
        os.killpg(process.pid, signal.SIGINT)
        end = ended(process, timeout_s=30)
        if end.code != 0:  # it was not through yet
            assert (end.code, end.err.strip()) == (130, "dicebox: interrupted"), moment
    again = dicebox.run("import", photos, "--dataset", "pets", "--json")
    assert (again.code, counts(again.json), again.json["refused"]) == (0, IMAGES, [])
    last = dicebox.run("import", photos, "--dataset", "pets", "--json")
    assert (last.json["stored"], last.json["duplicates"]) == (0, IMAGES)


def test_a_full_disk_ends_an_import_in_one_line_and_what_was_stored_stays(
    tmp_path: Path, photos: Path
) -> None:
    with mounted_disk(tmp_path / "disk", "3m") as disk:
        box = Dicebox(disk / "data")
        end = box.run("import", photos, "--dataset", "pets")
        assert (end.code, end.out, end.err.count("\n")) == (1, "", 1)
        assert "no space is left" in end.err
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        again = box.run("import", photos, "--dataset", "pets", "--json")
        assert (again.code, counts(again.json)) == (0, IMAGES)
        assert again.json["duplicates"] > 0
        assert not list((disk / "data" / "blobs" / ".temporary").iterdir())


def test_an_import_beside_a_running_house_goes_through_it(
    dicebox: Dicebox, photos: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few" / "cat"
    few.mkdir(parents=True)
    for file in sorted((photos / "cat").iterdir())[:5]:
        shutil.copy(file, few)
    process, url = dicebox.up()
    beside = dicebox.run("import", few.parent, "--dataset", "pets", "--json")
    assert beside.json["stored"] == 5
    elsewhere = Dicebox(tmp_path / "elsewhere")
    there = elsewhere.run("--url", url, "import", few.parent, "--dataset", "pets", "--json")
    assert there.json["duplicates"] == 5
    assert not elsewhere.data.exists()
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 0


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    end = Dicebox(tmp_path / "file" / "data").run("import", photos, "--dataset", "pets")
    assert (end.code, end.out, end.err.count("\n")) == (1, "", 1)
    assert "Not a directory" in end.err


def test_a_data_folder_that_is_read_only_is_one_line(tmp_path: Path, photos: Path) -> None:
    with mounted_disk(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for command in (["import", photos, "--dataset", "pets"], ["up", "--port", 0]):
            end = Dicebox(disk / "data").run(*command)
            assert (end.code, end.out, end.err.count("\n")) == (1, "", 1)
            assert "Read-only file system" in end.err
