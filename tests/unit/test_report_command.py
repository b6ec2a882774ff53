"""What `dicebox report` says where there is nothing to report, and what it writes."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from commons.errors import DiceboxError, InvalidInputError, NotFoundError
from commons.messages import Run
from dicebox.client import Client
from dicebox.command import run
from dicebox.commands import report
from dicebox.commands.run_files import found_run
from dicebox.connect import Place, connect
from tests.report_builders import facts


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with connect(Place(tmp_path / "data")) as client:
        assert client.evolution.runs() == []
    return tmp_path / "data"


def told(capture: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = run([*map(str, arguments)])
    return code, capture.readouterr().err.strip()


def client_with(*ids: str) -> Client:
    runs = [facts([], id=name).run for name in ids]

    def one(name: str) -> Run:
        raise NotFoundError(f"there is no run {name}")

    return cast(Client, SimpleNamespace(evolution=SimpleNamespace(runs=lambda: runs, run=one)))


def test_without_a_run_it_says_how_to_start_one(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "--data", data, "report") == (
        1,
        "dicebox: there is no run yet: `dicebox evolve --dataset NAME` starts one",
    )
    assert told(capsys, "--data", data, "report", "abc") == (1, "dicebox: there is no run abc")


def test_no_folder_is_made_where_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, words = told(capsys, "--data", tmp_path / "none", "report")
    assert (code, "no data folder" in words) == (1, True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "arguments",
    [("-o", "-", "--open"), ("-o", "-", "--json"), ("--images", "-1"), ("--tensorboard",)],
)
def test_wrong_usage_is_told(
    arguments: tuple[str, ...], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, words = told(capsys, "--data", data, "report", *arguments)
    assert code == 2
    assert words.count("\n") == 0


def test_a_run_is_named_by_the_start_of_its_id() -> None:
    client = client_with("abcd", "abce", "b")
    assert found_run(client, None).id == "abcd"
    assert found_run(client, "b").id == "b"
    assert found_run(client, "abce").id == "abce"
    with pytest.raises(InvalidInputError, match="2 runs start with ab: give more of the id"):
        found_run(client, "ab")
    with pytest.raises(NotFoundError, match="there is no run x"):
        found_run(client, "x")


def test_an_id_that_another_one_starts_with_is_no_riddle() -> None:
    assert found_run(client_with("abcd", "ab"), "ab").id == "ab"


def test_what_is_not_installed_is_named_with_its_extra() -> None:
    with pytest.raises(DiceboxError, match=r"this needs no_such_thing: pip install 'dicebox\[x\]'"):
        report._need("no_such_thing", "x")


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "r.html"
    report._write(file, "first")
    report._write(file, "second")
    assert [one.name for one in tmp_path.iterdir()] == ["r.html"]
    assert file.read_text() == "second"
    with pytest.raises(FileNotFoundError):
        report._write(tmp_path / "none" / "r.html", "x")
    with pytest.raises(UnicodeEncodeError):
        report._write(file, "\ud800")
    assert [one.name for one in tmp_path.iterdir()] == ["r.html"]
    assert file.read_text() == "second"
