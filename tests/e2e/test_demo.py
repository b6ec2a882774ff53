"""The demo from end to end, and what one does with the folder it leaves."""

import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from dicebox.digits import digit_files
from tests.dicebox_processes import Dicebox, Ended, ended, is_ready
from tests.e2e.conftest import DEMO_SECONDS

pytestmark = [pytest.mark.e2e, pytest.mark.alone]
Demo = tuple[Dicebox, Ended]


def read_until(words: str, process: subprocess.Popen[str]) -> str:
    """Return the first line of standard error that holds some words."""
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"it ended without {words!r}")


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    """Give the file of a seven."""
    file = tmp_path / "seven.png"
    file.write_bytes(digit_files()["7"][0][1])
    return file


def test_the_demo_goes_well_and_leaves_no_process(demo: Demo) -> None:
    box, end = demo
    assert end.code == 0, end.err
    assert "Traceback" not in end.err
    assert box.left_nothing()


def test_the_last_line_is_one_json_object_with_the_figures_of_this_run(demo: Demo) -> None:
    figures = demo[1].json
    # Chance gives 0.1; how good it can become the benchmark says.
    assert 0.5 < figures["test_accuracy"] <= 1.0
    assert figures["test_images"] == 269
    assert figures["candidates"] >= 1
    assert 0.0 < figures["evolution_seconds"] <= figures["seconds"] < 3 * DEMO_SECONDS
    assert figures["classification_median_ms"] > 0.0
    assert len(figures["champion"]) == 64


def test_the_story_is_told_on_standard_error_step_by_step(demo: Demo) -> None:
    told = [
        "Dicebox serves",
        "Sent 1797 labeled PNG files",
        "1259 train, 269 validation, 269 test",
        "it is the champion and answers now",
        "of 269 held-out test",
        "Rows: the truth, columns: the answer",
    ]
    places = [demo[1].err.index(words) for words in told]
    assert places == sorted(places)
    assert demo[1].out.count("\n") == 1


def test_the_gallery_and_the_runs_are_there_afterwards(demo: Demo) -> None:
    box, end = demo
    (network,) = box.run("networks", "--json").json["networks"]
    assert (network["network"], network["champion"]) == (end.json["champion"], True)
    (run,) = box.run("runs", "--json").json["runs"]
    assert (run["id"], run["state"]) == (end.json["run"], "complete")
    assert run["request"]["snapshot"] == end.json["snapshot"]
    assert end.json["champion"][:12] in box.run("networks").out
    assert end.json["run"] in box.run("runs").out


def test_the_champion_answers_without_a_server(demo: Demo, digit: Path) -> None:
    box, end = demo
    network = end.json["champion"][:8]
    for chosen in ([], ["--dataset", "digits"], ["--network", network]):
        answered = box.run("classify", digit, "--top", 10, "--json", *chosen)
        assert answered.code == 0, answered.err
        (answer,) = answered.json["files"]
        assert answer["network"] == end.json["champion"]
        assert {a["category"]["name"] for a in answer["answers"]} == set("0123456789")
        assert abs(sum(a["probability"] for a in answer["answers"]) - 1.0) < 1e-3


def test_a_file_that_is_no_image_is_named_and_the_others_are_answered(
    demo: Demo, digit: Path, tmp_path: Path
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("no image")
    end = demo[0].run("classify", note, digit)
    assert end.code == 1
    assert end.err.startswith(f"{note}: expected an image")
    assert end.err.count("\n") == 1
    assert end.out.startswith(f"{digit}: ")


def test_what_serves_the_folder_answers_without_tensorflow(
    demo: Demo, digit: Path, tmp_path: Path
) -> None:
    box, end = demo
    process, url = box.up()
    (here,) = box.run("classify", digit, "--json").json["files"]
    assert here["network"] == end.json["champion"]
    for pid, line in box.processes().items():
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
        assert "tensorflow" not in maps, line
    # Whoever has the address may ask, and needs no data folder for it.
    elsewhere = Dicebox(tmp_path / "elsewhere")
    (there,) = elsewhere.run("--url", url, "classify", digit, "--json").json["files"]
    assert there["answers"] == here["answers"]
    assert not elsewhere.data.exists()
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 0
    assert box.left_nothing()


def test_a_second_demo_goes_on_from_the_first_and_serves_until_ctrl_c(demo: Demo) -> None:
    box, first = demo
    process = box.start("demo", "--port", 0, "--seconds", 40, "--workers", 1, "--json")
    assert "1797 were there already" in read_until("Sent 1797", process)
    figures = process.stdout.readline()
    assert figures, ended(process).err
    assert f'"snapshot": "{first.json["snapshot"]}"' in figures
    url = read_until("to look around", process).split()[1]
    assert is_ready(url)
    champion = httpx.get(f"{url}/api/classification/v1/champions/digits").json()["network"]
    assert champion in figures
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process).code == 0
    assert box.left_nothing()


@pytest.mark.parametrize("moment", ["Dicebox serves", "Froze snapshot", "searching"])
def test_ctrl_c_ends_the_demo_with_one_line_and_nothing_is_left_or_lost(
    dicebox: Dicebox, moment: str
) -> None:
    process = dicebox.start("demo", "--port", 0, "--seconds", 30)
    read_until(moment, process)
    os.killpg(process.pid, signal.SIGINT)
    end = ended(process, timeout_s=30)
    assert end.code == 130
    assert end.last_words == "dicebox: interrupted"
    assert "Traceback" not in end.err
    assert dicebox.left_nothing()
    assert {run["state"] for run in dicebox.run("runs", "--json").json["runs"]} <= {
        "interrupted",
        "stopped",
    }
