"""`dicebox history`, and what `dicebox purge` does to it."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.adapters.outbox_tables import SqlCorrectionTables
from classification_service.history_ports import Record
from classification_service.recording import classified_blob, new_id
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.messages import Category
from tests.builders import png_bytes
from tests.unit.test_dicebox_command import Shell, publish

NEW_YEAR_2030 = 1_893_456_000.0


class History:
    """A data folder with classifications of one picture after the other, a minute apart."""

    def __init__(self, data: Path, network: str) -> None:
        self.network = network
        self.database = create_database(sqlite_url(data / "classification.sqlite3"))
        self.tables = SqlHistoryTables(self.database)
        self.blobs = FileBlobs(data / "blobs")
        self.images: list[bytes] = []

    def add(self, name: str = "bright", probability: float = 0.75) -> str:
        at = NEW_YEAR_2030 + 60.0 * len(self.images)
        self.images.append(png_bytes(seed=len(self.images)))
        image = hashlib.sha256(self.images[-1]).hexdigest()
        self.blobs.put(classified_blob(image), self.images[-1])
        answers = [
            (Category(id="c1", name=name), probability),
            (Category(id="c0", name="dark"), 1 - probability),
        ]
        margin = 2 * probability - 1
        record = Record(new_id(at), image, "digits", self.network, answers, margin, 0.5, 0.001, at)
        self.tables.add([record])
        return record.id


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Give a folder with a champion, to be copied, and the id of that."""
    data = tmp_path_factory.mktemp("history") / "data"
    return data, publish(data)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "data", capsys)


@pytest.fixture
def recorded(shell: Shell, published: tuple[Path, str]) -> History:
    shutil.copytree(published[0], shell.data)
    return History(shell.data, published[1])


def ids(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:]]


def test_the_history_is_listed_newest_first_and_as_it_is_asked_for(
    shell: Shell, recorded: History
) -> None:
    names = [recorded.add(probability=share) for share in (0.9, 0.6, 0.8)]
    names.append(recorded.add("dark", 1.0))
    code, out, _ = shell("history", "list")
    assert (code, ids(out)) == (0, names[::-1])
    assert "2030-01-01 00:03:00" in out
    assert shell("history")[:2] == (code, out)
    for options, expected in (
        (["--limit", 2], [names[3], names[2]]),
        (["--uncertain"], [names[1], names[2], names[0], names[3]]),
        (["--category", "dark"], [names[3]]),
        (["--max-confidence", 0.85], [names[2], names[1]]),
        (["--min-confidence", 0.95], [names[3]]),
        (["--since", "2030-01-01T00:02"], [names[3], names[2]]),
        (["--until", "2030-01-01T00:01:00"], [names[0]]),
        (["--network", recorded.network[:8], "--dataset", "digits"], names[::-1]),
    ):
        assert ids(shell("history", "list", *options)[1]) == expected, options
    for words in (("history", "list", "--json"), ("history", "--json")):
        listed = json.loads(shell(*words)[1])["classifications"]
        assert [one["id"] for one in listed] == names[::-1]
    assert shell("history", "--help")[1].startswith("Usage: dicebox history [OPTIONS] COMMAND")


def test_where_nothing_is_recorded_that_is_told(shell: Shell, recorded: History) -> None:
    code, out, _ = shell("history", "list")
    assert (code, out.startswith("Nothing is recorded that fits")) == (0, True)
    code, _, err = shell("history", "show", "nonsense")
    assert (code, "expected 28 hex digits" in err) == (2, True)
    code, _, err = shell("history", "show", new_id(1000.0))
    assert (code, "there is no classification" in err) == (1, True)


def test_one_is_shown_and_its_picture_saved(
    shell: Shell, recorded: History, tmp_path: Path
) -> None:
    name = recorded.add()
    code, out, _ = shell("history", "show", name, "--image", tmp_path / "it.png")
    assert code == 0
    assert "  0.750 bright\n  0.250 dark\n" in out
    assert (tmp_path / "it.png").read_bytes() == recorded.images[0]
    assert json.loads(shell("history", "show", name, "--json")[1])["id"] == name


def test_one_is_corrected_and_that_is_shown(shell: Shell, recorded: History) -> None:
    name, other = recorded.add(), recorded.add()
    code, out, _ = shell("history", "correct", name, "dark")
    assert (code, out) == (0, "corrected to dark, on its way to the dataset\n")
    assert json.loads(shell("history", "correct", name, "dark", "--json")[1])["category"] == "dark"
    assert ids(shell("history", "list", "--corrected")[1]) == [name]
    assert ids(shell("history", "list", "--not-corrected")[1]) == [other]
    outbox = SqlCorrectionTables(recorded.database)
    taken = outbox.take(1e12, 60.0)
    assert outbox.waiting() == 1
    outbox.settle(taken.number, "refused", "it is no picture")
    out = shell("history", "show", name)[1]
    assert out.endswith("corrected to dark, refused: it is no picture\n")
    code, _, err = shell("history", "correct", name, "a/b")
    assert (code, "category" in err) == (1, True)


def test_one_is_removed(shell: Shell, recorded: History) -> None:
    name = recorded.add()
    assert shell("history", "remove", name)[:2] == (0, f"{name} is removed\n")
    assert list(recorded.blobs.names("classified/")) == []
    assert shell("history", "remove", name)[0] == 1


def test_what_is_purged_is_gone_from_the_history_too(shell: Shell, recorded: History) -> None:
    first, second = recorded.add(), recorded.add()
    kept = recorded.add()
    images = [hashlib.sha256(data).hexdigest() for data in recorded.images]
    folder = shell.data.parent / "pets" / "cat"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(recorded.images[0])
    assert shell("import", folder.parent, "--dataset", "pets")[0] == 0
    code, out, _ = shell("purge", images[0], "--yes", "--json")
    assert (code, json.loads(out)["classifications"]) == (0, 1)
    code, out, _ = shell("purge", images[1], "--yes")  # of no dataset
    assert (code, "1 recorded classifications" in out) == (0, True)
    assert ids(shell("history", "list")[1]) == [kept]
    assert [shell("history", "show", name)[0] for name in (first, second)] == [1, 1]
    code, _, err = shell("purge", "0" * 64, "--yes")
    assert (code, err.count("\n")) == (1, 1)
