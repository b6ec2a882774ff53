"""The commands that need no worker, as one types them: results, exit codes, one line of error."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.errors import DiceboxError, UnavailableError
from commons.messages import Evaluation, FreezeRequest, RunRequest
from dicebox.command import dicebox, run
from dicebox.connect import Place, connect
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.run_table import SqlRuns
from evolver.progress import measured
from tests.builders import bomb_png, png_bytes, png_files, truncated
from tests.evolver_builders import individual
from tests.onnx_builders import always, network_card

COMMANDS = list(dicebox.commands)
DETERMINISTIC = ["evolve", "--dataset", "a", "--deterministic", "--evaluations", "6"]


class Shell:
    """Runs commands on one data folder in this process."""

    def __init__(self, data: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self._capture = capture

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Return exit code, standard output and standard error."""
        code = run(["--data", str(self.data), *map(str, arguments)])
        out, err = self._capture.readouterr()
        return code, out, err


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "data", capsys)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "picture.png"
    file.write_bytes(png_bytes())
    return file


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for seed, category in enumerate(("cat", "dog")):
        folder = tmp_path / "pets" / category
        folder.mkdir(parents=True)
        for name, data in png_files(5, seed=seed):
            (folder / name).write_bytes(data)
    return tmp_path / "pets"


def publish(data: Path, *, dataset: str = "digits", index: int = 1, promote: bool = True) -> str:
    """Register a network that always says the same, and return its id."""
    card = network_card(FileBlobs(data / "blobs"), always(index), dataset=dataset)
    with connect(Place(data)) as client:
        network = client.gallery.register(card)
        if promote:
            client.gallery.promote(dataset, network)
    return network


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_command_has_help_in_lines_that_fit(command: list[str], shell: Shell) -> None:
    code, out, _ = shell(*command, "--help")
    assert code == 0
    assert out.startswith("Usage: dicebox")
    assert max(map(len, out.splitlines())) <= 100


def test_the_help_keeps_its_examples_in_lines_and_its_commands_in_their_order(shell: Shell) -> None:
    _, out, _ = shell("--help")
    assert "  A first look:        dicebox demo\n" in out
    places = [out.index(f"\n  {name} ") for name in ("demo", "up", "import", "evolve", "classify")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["evolve"],
        ["evolve", "--dataset", "Not A Name"],
        ["evolve", "--dataset", "a", "--seconds", "0"],
        ["evolve", "--dataset", "a", "--seconds", "nan"],
        ["evolve", "--dataset", "a", "--shape", "28x28"],
        ["evolve", "--dataset", "a", "--population", "1"],
        ["evolve", "--dataset", "a", "--taxonomy", "/nowhere.toml"],
        ["evolve", "--dataset", "a", "--without", "rungs,patience"],
        ["evolve", "--dataset", "a", "--generations", "3", "--strategy", "evolution"],
        ["evolve", "--dataset", "a", "--objectives", "latency"],
        ["evolve", "--dataset", "a", "--objectives", "accuracy,beauty"],
        ["evolve", "--dataset", "a", "--deterministic", "--seconds", "60"],
        ["evolve", "--dataset", "a", "--deterministic", "--evaluations", "6", "--workers", "2"],
        [*DETERMINISTIC, "--objectives", "accuracy,latency"],
        [*DETERMINISTIC, "--max-latency-us", "500"],
        ["evolve", "--resume", "a", "--seconds", "60"],
        ["train", "--dataset", "a"],
        ["train", "--genome", __file__],
        ["train", "--genome", __file__, "--dataset", "a", "--sensory", "nonsense"],
        ["train", "--genome", __file__, "--dataset", "a", "--classification", "http://a"],
        ["train", "--dataset", "a", "--genome", "/nowhere.json"],
        ["train", "--dataset", "a", "--genome", __file__, "--shape", "28x28"],
        ["train", "--dataset", "a", "--genome", __file__, "--resize", "stretch"],
        ["import", "/nowhere", "--dataset", "a"],
        ["classify"],
        ["classify", "/nowhere.png"],
        ["up", "--port", "65536"],
        ["--url", "nonsense", "networks"],
        ["--url", "http://127.0.0.1:9", "up"],
        ["--data", __file__, "networks"],
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help_and_ends_with_2(
    shell: Shell, arguments: list[str]
) -> None:
    code, out, err = shell(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("dicebox: ")
    assert "--help)" in err
    assert not shell.data.exists()


def failing(error: BaseException):
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DiceboxError("the run\n  ended"), 1, "dicebox: the run ended"),
        (UnavailableError("again later"), 1, "dicebox: again later"),
        (PermissionError(13, "Permission denied", "/data/x"), 1, "/data/x: Permission denied"),
        (OSError("something else"), 1, "dicebox: the system: something else"),
        (KeyboardInterrupt(), 130, "dicebox: interrupted"),
        (ZeroDivisionError("oh"), 1, "this is a bug in Dicebox: ZeroDivisionError: oh (test_"),
    ],
)
def test_every_error_is_one_line_without_a_traceback(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    line: str,
) -> None:
    monkeypatch.setattr(dicebox.commands["runs"], "callback", failing(error))
    ended, out, err = shell("runs")
    assert (ended, out) == (code, "")
    assert line in err
    assert err.strip().count("\n") == 0


def test_the_traceback_of_a_bug_is_there_for_whoever_asks(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicebox.commands["runs"], "callback", failing(ZeroDivisionError("oh")))
    monkeypatch.setenv("DICEBOX_TRACEBACK", "1")
    _, _, err = shell("runs")
    assert "Traceback" in err


def test_importing_a_tree_counts_what_is_new_and_what_was_there(shell: Shell, pets: Path) -> None:
    code, out, err = shell("import", pets, "--dataset", "pets")
    assert (code, err) == (0, "")
    assert out.startswith("10 images stored in pets, 0 were there already")
    code, out, _ = shell("import", pets, "--dataset", "pets", "--json")
    assert code == 0
    expected = {"dataset": "pets", "stored": 0, "duplicates": 10, "relabeled": 0, "refused": []}
    assert json.loads(out) == expected


def test_importing_keeps_the_splits_of_the_tree(shell: Shell, pets: Path, tmp_path: Path) -> None:
    for level in ("train", "test"):
        for seed, category in enumerate(("cat", "dog")):
            folder = tmp_path / "tree" / level / category
            folder.mkdir(parents=True)
            for name, data in png_files(10, seed=10 * len(level) + seed):
                (folder / name).write_bytes(data)
    assert shell("import", tmp_path / "tree", "--dataset", "pets")[0] == 0
    with connect(Place(shell.data)) as client:
        counts = client.sensory.freeze("pets", FreezeRequest()).counts
    assert counts["test"] == 20
    assert counts["train"] + counts["validation"] == 20
    assert counts["validation"] > 0


def test_what_is_no_image_is_named_and_refused_and_the_others_are_stored(
    shell: Shell, pets: Path
) -> None:
    bad = {
        "notes.txt": b"no image",
        "half.png": truncated(png_bytes((64, 64, 3))),
        "bomb.png": bomb_png(),
        "void.png": b"",
    }
    for name, data in bad.items():
        (pets / "cat" / name).write_bytes(data)
    code, out, err = shell("import", pets, "--dataset", "pets", "--json")
    assert code == 1
    report = json.loads(out)
    assert report["stored"] == 10
    assert {fault["file"] for fault in report["refused"]} == {f"cat/{name}" for name in bad}
    assert err.count("\n") == len(bad)
    assert all(f"refused cat/{name}: " in err for name in bad)


def test_of_very_many_refusals_the_first_are_named(shell: Shell, pets: Path) -> None:
    for number in range(25):
        (pets / "cat" / f"{number}.txt").write_text("no image")
    _, _, err = shell("import", pets, "--dataset", "pets")
    assert err.count("refused cat/") == 20
    assert err.endswith("and 5 more\n")


def test_an_empty_folder_is_one_line(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, out, err = shell("import", tmp_path / "empty", "--dataset", "pets")
    assert (code, out) == (1, "")
    assert err.startswith("dicebox: expected one folder a category with images in it")


def test_a_category_that_could_be_a_path_stores_nothing(shell: Shell, pets: Path) -> None:
    (pets / "a\\..\\etc").mkdir()
    (pets / "a\\..\\etc" / "1.png").write_bytes(png_bytes())
    code, _, err = shell("import", pets, "--dataset", "pets")
    assert code == 1
    assert "rename the folder" in err
    assert not shell.data.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["networks"],
        ["runs"],
        ["datasets"],
        ["classify", __file__],
        ["freeze", "pets"],
        ["snapshots", "pets"],
        ["diff", "a", "b"],
        ["export", "a", "-o", "/nowhere/a.tar"],
        ["fsck"],
        ["purge", "a", "--yes"],
        ["keys", "list"],
        ["keys", "revoke", "a"],
        ["evolve", "--dataset", "pets"],
    ],
)
def test_a_folder_that_is_not_there_or_none_of_ours_is_told_and_not_made(
    shell: Shell, arguments: list[str]
) -> None:
    code, out, err = shell(*arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"dicebox: no data folder at {shell.data}: ")
    assert not shell.data.exists()
    shell.data.mkdir()
    (shell.data / "holiday.jpg").write_bytes(b"")
    assert shell(*arguments)[0] == 1
    assert [file.name for file in shell.data.iterdir()] == ["holiday.jpg"]


def test_a_fresh_folder_says_how_to_begin(shell: Shell, picture: Path) -> None:
    with connect(Place(shell.data)):
        pass
    assert shell("datasets")[:2] == (
        0,
        "No dataset yet: `dicebox import FOLDER --dataset NAME` makes one.\n",
    )
    assert shell("keys", "list")[:2] == (
        0,
        "No key yet: `dicebox keys create NAME --scope admin` makes one.\n",
    )
    assert shell("networks")[:2] == (
        0,
        "No network yet: `dicebox evolve --dataset NAME` breeds one.\n",
    )
    assert shell("runs")[:2] == (0, "No run yet: `dicebox evolve --dataset NAME` starts one.\n")
    assert json.loads(shell("networks", "--json")[1]) == {"networks": []}
    assert json.loads(shell("runs", "--json")[1]) == {"runs": []}
    code, out, err = shell("classify", picture)
    assert (code, out) == (1, "")
    assert err == f"{picture}: no network yet: `dicebox evolve --dataset NAME` breeds one\n"
    code, out, _ = shell("classify", picture, "--json")
    assert code == 1
    assert json.loads(out)["files"][0]["kind"] == "no-network"


def test_datasets_are_listed_with_their_counts(shell: Shell, pets: Path) -> None:
    shell("import", pets, "--dataset", "pets")
    code, out, err = shell("datasets")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["pets", "10", "10", "cat", "(5),", "dog", "(5)"]
    (dataset,) = json.loads(shell("datasets", "--json")[1])["datasets"]
    assert (dataset["name"], dataset["images"]) == ("pets", 10)


def test_freezing_prints_the_id_and_the_same_images_give_the_same(shell: Shell, pets: Path) -> None:
    shell("import", pets, "--dataset", "pets")
    code, out, err = shell("freeze", "pets", "--validation", 0.2, "--test", 0.2)
    assert (code, len(out)) == (0, 65)
    assert err.startswith("pets: ")
    assert err.endswith(" in 2 categories\n")
    again = json.loads(shell("freeze", "pets", "--json")[1])
    assert again["id"] == out.strip()
    (pets / "owl").mkdir()
    (pets / "owl" / "1.png").write_bytes(png_bytes(seed=77))
    shell("import", pets, "--dataset", "pets")
    only = json.loads(shell("freeze", "pets", "--categories", "cat, owl", "--json")[1])
    assert [category["name"] for category in only["categories"]] == ["cat", "owl"]
    code, out, err = shell("freeze", "birds")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_the_difference_of_two_snapshots_is_told(shell: Shell, pets: Path) -> None:
    shell("import", pets, "--dataset", "pets")
    before = shell("freeze", "pets")[1].strip()
    (pets / "owl").mkdir()
    (pets / "owl" / "1.png").write_bytes(png_bytes(seed=77))
    shell("import", pets, "--dataset", "pets")
    after = shell("freeze", "pets")[1].strip()
    code, out, _ = shell("diff", before, after)
    assert code == 0
    assert out.splitlines()[:2] == ["1 added, 0 removed, 0 relabeled", "category owl came"]
    assert json.loads(shell("diff", after, before, "--json")[1])["removed"] == 1


def test_snapshots_are_listed_and_named_by_the_start_of_their_ids(
    shell: Shell, pets: Path, tmp_path: Path
) -> None:
    shell("import", pets, "--dataset", "pets")
    assert shell("snapshots", "pets")[:2] == (
        0,
        "No snapshot yet: `dicebox freeze pets` makes one.\n",
    )
    frozen = json.loads(shell("freeze", "pets", "--json")[1])
    code, out, err = shell("snapshots", "pets")
    assert (code, err) == (0, "")
    head, row = (line.split() for line in out.splitlines())
    assert head == ["snapshot", "frozen", "images", "train", "validation", "test", "categories"]
    assert row[0] == frozen["id"][:12]
    assert row[-5:] == ["10", *map(str, frozen["counts"].values()), "2"]
    (entry,) = json.loads(shell("snapshots", "pets", "--json")[1])["snapshots"]
    assert (entry["id"], entry["counts"]) == (frozen["id"], frozen["counts"])
    start = frozen["id"][:6]
    assert json.loads(shell("diff", start, start, "--json")[1])["after"] == frozen["id"]
    export = shell("export", start, "-o", tmp_path / "pets.tar", "--json")
    assert json.loads(export[1])["snapshot"] == frozen["id"]
    code, out, err = shell("snapshots", "birds")
    assert (code, out, err) == (1, "", "dicebox: there is no dataset named birds\n")


@pytest.mark.parametrize("form", ["imagefolder", "coco"])
def test_a_snapshot_is_exported_and_an_imagefolder_is_imported_again(
    shell: Shell, pets: Path, tmp_path: Path, form: str
) -> None:
    shell("import", pets, "--dataset", "pets")
    snapshot = shell("freeze", "pets")[1].strip()
    file = tmp_path / "pets.tar"
    code, out, _ = shell("export", snapshot, "-o", file, "--format", form)
    assert (code, out) == (0, f"{file}: {file.stat().st_size:,} bytes\n")
    report = json.loads(shell("export", snapshot, "-o", file, "--format", form, "--json")[1])
    assert report["bytes"] == file.stat().st_size
    if form == "imagefolder":
        copied = json.loads(shell("import", file, "--dataset", "copy", "--json")[1])
        assert (copied["stored"], copied["refused"]) == (10, [])


def test_an_export_that_cannot_be_had_is_one_line_and_no_file(
    shell: Shell, pets: Path, tmp_path: Path
) -> None:
    shell("import", pets, "--dataset", "pets")
    for output in (tmp_path / "none.tar", tmp_path / "nowhere" / "none.tar"):
        snapshot = "0" * 64 if output.parent == tmp_path else shell("freeze", "pets")[1].strip()
        code, out, err = shell("export", snapshot, "-o", output)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert not output.exists()


def test_networks_are_listed_with_their_figures(shell: Shell) -> None:
    network = publish(shell.data)
    other = publish(shell.data, dataset="pets", index=0, promote=False)
    _, out, _ = shell("networks")
    assert f"{network[:12]}  digits   yes" in out
    assert "90.00 %" in out
    _, out, _ = shell("networks", "--dataset", "pets", "--json")
    (entry,) = json.loads(out)["networks"]
    assert (entry["network"], entry["champion"]) == (other, False)


def test_the_champion_or_the_network_that_is_named_answers(shell: Shell, picture: Path) -> None:
    network = publish(shell.data)
    other = publish(shell.data, dataset="pets", index=0, promote=False)
    code, out, err = shell("classify", picture)
    assert (code, out, err) == (0, f"{picture}: bright 1.000, dark 0.000\n", "")
    _, out, _ = shell("classify", picture, picture, "--top", 1, "--json")
    answers = json.loads(out)["files"]
    assert [(a["network"], len(a["answers"])) for a in answers] == [(network, 1)] * 2
    assert shell("classify", picture, "--network", other[:6])[1].startswith(f"{picture}: dark")
    assert shell("classify", picture, "--dataset", "pets")[0] == 1


def test_a_network_that_is_not_there_or_not_named_enough_is_told(
    shell: Shell, picture: Path
) -> None:
    publish(shell.data)
    publish(shell.data, dataset="pets", index=0)
    code, _, err = shell("classify", picture, "--network", "nothing")
    assert (code, "`dicebox networks` lists them" in err) == (1, True)
    code, _, err = shell("classify", picture, "--network", "")
    assert code == 1  # two champions, and none is named
    assert "dataset" in err


def test_a_file_that_is_no_image_costs_the_others_nothing(
    shell: Shell, picture: Path, tmp_path: Path
) -> None:
    publish(shell.data)
    bad = tmp_path / "half.png"
    bad.write_bytes(truncated(png_bytes((64, 64, 3))))
    code, out, err = shell("classify", bad, picture)
    assert code == 1
    assert out.startswith(f"{picture}: bright")
    assert err.startswith(f"{bad}: the image is damaged")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("taxonomy.toml", "no toml", "is no TOML or JSON"),
        ("taxonomy.json", "{", "is no TOML or JSON"),
        ("taxonomy.json", "[]", "to hold an object, got list"),
    ],
)
def test_a_taxonomy_that_is_none_is_told_before_anything_starts(
    shell: Shell, tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    code, _, err = shell("evolve", "--dataset", "pets", "--taxonomy", tmp_path / name)
    assert (code, said in err) == (1, True)
    assert not shell.data.exists()


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"features": 3}', '{"misspelt": 1}'])
def test_a_genome_that_is_none_is_told_before_anything_starts(
    shell: Shell, tmp_path: Path, text: str
) -> None:
    (tmp_path / "genome.json").write_text(text)
    code, _, err = shell("train", "--dataset", "pets", "--genome", tmp_path / "genome.json")
    assert (code, "is no genome" in err, err.count("\n")) == (1, True, 1)
    assert not shell.data.exists()


def test_the_command_starts_without_flask_and_without_tensorflow() -> None:
    listed = "import sys, dicebox.command; print(*sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", listed], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "click" in modules
    assert not {"flask", "sqlalchemy", "onnxruntime", "keras", "tensorflow"} & set(modules)


def test_whoever_has_read_enough_of_the_output_gets_no_complaint(tmp_path: Path) -> None:
    with connect(Place(tmp_path / "data")):
        pass
    pipeline = f"{sys.executable} -m dicebox --data {tmp_path}/data runs --json | true"
    ended = subprocess.run(pipeline, shell=True, check=True, capture_output=True, text=True)  # noqa: S602
    assert (ended.stdout, ended.stderr) == ("", "")


@pytest.fixture
def interrupted(shell: Shell, pets: Path) -> str:
    """Give the id of a run that was left, with three individuals and a front of two."""
    assert shell("import", pets, "--dataset", "pets")[0] == 0
    database = create_database(sqlite_url(shell.data / "evolver.sqlite3"))
    with connect(Place(shell.data)) as client:
        wanted = RunRequest(dataset="pets", objectives=["accuracy", "parameters"])
        run = client.evolution.start(wanted)
    runs, journal = SqlRuns(database, SystemClock()), SqlJournal(database)
    claimed = runs.claim("one")
    assert claimed is not None
    for number, accuracy in enumerate((0.7, 0.9, 0.8), 1):
        evaluation = Evaluation(
            rung="1", state="finished", outcome="ok", accuracy=accuracy, loss=0.5, weights="w"
        )
        update = {"parameters": 1000 * (4 - number), "evaluations": [evaluation]}
        row = individual(number).model_copy(update=update)
        journal.add_individual(run.id, row, "one")
    failed = Evaluation(rung="1", state="finished", outcome="killed", reason="by SIGKILL")
    row = individual(4).model_copy(update={"evaluations": [failed]})
    journal.add_individual(run.id, row, "one")
    progress = measured({each.number: each for each in journal.individuals(run.id)})
    update = {"state": "interrupted", "reason": "its runner ended", "progress": progress}
    runs.save(claimed.model_copy(update=update), "one")
    database.dispose()
    return run.id


def test_one_run_is_shown_by_the_start_of_its_id(shell: Shell, interrupted: str) -> None:
    code, out, err = shell("runs", interrupted[:6])
    assert (code, err) == (0, "")
    for words in (
        f"run {interrupted} of pets, interrupted: its runner ended",
        "evolution of 60 s, seed 0",
        "4 born, 3 trained, 1 failed",
        "best 90.00 % of validation",
        "rung 1: 3 trained, best 90.00 %",
        "Nothing beats these in all objectives:",
        "1 failed, killed: by SIGKILL",
    ):
        assert words in out, words
    numbers = [line.split()[0] for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert numbers == ["4", "2", "3", "1"]
    shown = json.loads(shell("runs", interrupted, "--json")[1])
    assert [each["number"] for each in shown["front"]] == [2, 3]
    assert len(shown["individuals"]) == 4
    assert shown["run"]["id"] == interrupted
    code, _, err = shell("runs", "nothing")
    assert (code, "no run nothing" in err) == (1, True)


def test_what_a_run_keeps_is_discarded_after_a_question(
    shell: Shell, interrupted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, _, err = shell("runs", interrupted, "--discard")
    assert code == 130
    assert "(interrupted) keeps; it cannot be resumed then?" in err
    assert shell("runs", "--discard", "--yes")[0] == 2
    code, out, _ = shell("runs", interrupted[:6], "--discard", "--yes")
    assert (code, out) == (0, f"0 files of the run {interrupted} are deleted\n")
    run = json.loads(shell("runs", interrupted, "--json")[1])["run"]
    assert (run["state"], run["reason"]) == (
        "stopped",
        "given up: what it had trained was discarded",
    )
