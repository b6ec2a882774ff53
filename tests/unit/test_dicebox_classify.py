"""`dicebox classify` on many files, folders and standard input."""

import io
import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from commons.errors import ForbiddenError, UnavailableError
from commons.messages import Classification
from dicebox.picture_files import AskedPictures, classified_pictures, pictures_of
from tests.builders import png_bytes
from tests.unit.test_dicebox_command import Shell, publish

MANY = 40


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a champion, to be read by all tests."""
    data = tmp_path_factory.mktemp("classify") / "data"
    publish(data)
    return data


@pytest.fixture
def shell(data: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(data, capsys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name in ("b/2.png", "b/1.png", "a/3.png", "0.png", ".hidden.png", ".git/4.png"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png_bytes(seed=len(name)))
    return root


def files_of(out: str) -> list[str]:
    return [line.rpartition(": ")[0] for line in out.splitlines()]


def test_a_folder_stands_for_the_files_in_it_and_below(shell: Shell, folder: Path) -> None:
    code, out, err = shell("classify", folder)
    expected = [folder / name for name in ("0.png", "a/3.png", "b/1.png", "b/2.png")]
    assert (code, files_of(out), err) == (0, [str(file) for file in expected], "")
    hidden = folder / ".hidden.png"
    assert files_of(shell("classify", hidden, folder / "a")[1]) == [str(hidden), str(expected[1])]


def test_an_empty_folder_is_no_error(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert shell("classify", tmp_path / "empty") == (0, "", "")


def test_many_at_once_are_told_in_their_order_and_each_fault_is_its_own(
    shell: Shell, tmp_path: Path
) -> None:
    files = []
    for number in range(MANY):
        files.append(tmp_path / f"{number}.png")
        files[-1].write_bytes(b"nothing" if number % 10 == 3 else png_bytes(seed=number))
    code, out, _ = shell("classify", *files, "--jobs", 8, "--json")
    results = json.loads(out)["files"]
    assert code == 1
    assert [result["file"] for result in results] == [str(file) for file in files]
    kinds = [result.get("kind") for result in results]
    assert kinds == ["not-an-image" if n % 10 == 3 else None for n in range(MANY)]


def test_a_picture_may_come_on_standard_input(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(png_bytes())))
    code, out, _ = shell("classify", "-")
    assert (code, files_of(out)) == (0, ["-"])


def test_files_may_be_named_in_a_file(shell: Shell, folder: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text(f"{folder / '0.png'}\n\n{folder / 'b'}\n")
    code, out, _ = shell("classify", "--files-from", names)
    expected = [folder / name for name in ("0.png", "b/1.png", "b/2.png")]
    assert (code, files_of(out)) == (0, [str(file) for file in expected])
    names.write_text("/nowhere.png\n")
    code, _, err = shell("classify", "--files-from", names)
    assert (code, "there is no /nowhere.png" in err) == (2, True)


def test_nothing_to_classify_is_wrong_usage(shell: Shell) -> None:
    code, _, err = shell("classify")
    assert (code, "at least one file" in err) == (2, True)


def test_a_file_that_cannot_be_read_costs_the_others_nothing(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "loop.png").symlink_to(folder / "loop.png")
    monkeypatch.setattr("dicebox.picture_files._MOST_BYTES", 100_000)
    (folder / "z.png").write_bytes(bytes(100_001))
    code, out, err = shell("classify", folder)
    assert (code, len(out.splitlines())) == (1, 4)
    assert f"{folder / 'loop.png'}: it cannot be read" in err
    assert f"{folder / 'z.png'}: expected at most 100,000 bytes" in err


class Gallery:
    """Answers all but some, and counts how many ask at once."""

    def __init__(self, error: Exception | None = None, after: int = 0) -> None:
        self.error, self.left = error, after
        self.together = threading.Barrier(4, timeout=20.0)

    def classify(self, data: bytes, *_: object) -> Classification:
        if self.error is None:
            self.together.wait()
        elif self.left == 0:
            raise self.error
        self.left -= 1
        return Classification(image="0" * 64, dataset="a", network="n", answers=[], seconds=0.0)


def test_as_many_are_under_way_as_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    files = [tmp_path / "a"] * 8
    # Four meet, or nobody gets on.
    assert len(list(classified_pictures(Gallery(), files, AskedPictures(), 4))) == 8


@pytest.mark.parametrize("error", [UnavailableError("gone"), ForbiddenError("no")])
def test_what_will_fail_for_all_is_not_tried_for_all(tmp_path: Path, error: Exception) -> None:
    (tmp_path / "a").write_bytes(b"x")
    gallery = Gallery(error, after=5)
    results = list(classified_pictures(gallery, [tmp_path / "a"] * 100, AskedPictures(), 1))
    assert [result.get("error") for result in results] == [None] * 5 + [str(error)]
    assert "of_all" not in results[-1]


def test_files_come_in_the_order_in_which_they_were_named(folder: Path) -> None:
    named = [folder / "b", folder / "0.png", Path("-")]
    assert pictures_of(named) == [
        folder / "b" / "1.png",
        folder / "b" / "2.png",
        folder / "0.png",
        Path("-"),
    ]


def test_progress_is_shown_on_standard_error_and_results_stay_as_they_are(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr("dicebox.commands.classifying.progress_console", lambda: console)
    code, out, _ = shell("classify", folder)
    assert (code, len(out.splitlines())) == (0, 4)
    assert "Classifying" in screen.getvalue()
    assert "4/4" in screen.getvalue()
    assert all(": bright" in line for line in out.splitlines())
