"""`dicebox evolve` and `dicebox train` as processes: beside a running `up` and without one."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.dicebox_processes import Dicebox, ended, is_ready, until
from tests.e2e.test_demo import read_until

pytestmark = [pytest.mark.e2e, pytest.mark.alone]
SMALL = ("--seconds", 30, "--evaluations", 1, "--workers", 1)


def test_evolving_without_a_server_runs_the_services_as_long_as_it_takes(box: Dicebox) -> None:
    end = box.run("evolve", "--dataset", "photos", *SMALL, "--json")
    assert end.code == 0, end.err
    assert end.json["state"] == "complete"
    assert end.json["promoted"]
    assert box.left_nothing()
    (network,) = box.run("networks", "--json").json["networks"]
    assert (network["network"], network["champion"]) == (end.json["network"], True)


def test_evolving_and_training_beside_a_running_house_use_that_one(
    box: Dicebox, tmp_path: Path
) -> None:
    process, url = box.up()
    bred = box.run("evolve", "--dataset", "photos", *SMALL, "--promote", "never")
    assert bred.code == 0, bred.err
    assert "is published, not promoted" in bred.out
    (network,) = box.run("--url", url, "networks", "--json").json["networks"]
    assert not network["champion"]
    genome = tmp_path / "genome.json"
    genome.write_text(json.dumps(network["card"]["genome"]))
    arguments = ("--dataset", "photos", "--genome", genome, "--epochs", 2, "--promote", "auto")
    trained = box.run("train", *arguments, "--json")
    assert trained.code == 0, trained.err
    assert trained.json["epochs"] == 2
    again = box.run("train", "--run", bred_run(box), "--max-params", 10**8, "--epochs", 1, "--json")
    assert again.code == 0, again.err
    assert again.err.startswith("individual 1: ")
    assert (again.json["epochs"], again.json["snapshot"]) == (1, network["card"]["snapshot"])
    dear = box.run("train", "--run", bred_run(box), "--max-params", 1)
    assert dear.code == 1
    assert "has at most 1 parameters (the smallest has" in dear.err
    champions = [
        n["network"] for n in box.run("networks", "--json").json["networks"] if n["champion"]
    ]
    assert champions == [trained.json["network"]]
    assert is_ready(url)
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 0
    assert box.left_nothing()


def test_ctrl_c_publishes_the_best_so_far_and_ends_with_130(box: Dicebox) -> None:
    process = box.start("evolve", "--dataset", "photos", "--seconds", 300, "--workers", 1, "--json")
    until(lambda: any(run["progress"]["evaluated"] for run in _runs(box)), timeout_s=60)
    os.killpg(process.pid, signal.SIGINT)
    assert "Ctrl-C again leaves at once" in read_until("Stopping run", process)
    end = ended(process, timeout_s=60)
    assert end.code == 130
    assert (end.json["state"], end.json["promoted"]) == ("stopped", True)
    assert "Traceback" not in end.err
    assert box.left_nothing()


def test_ctrl_c_twice_leaves_at_once_with_one_line(box: Dicebox) -> None:
    process = box.start("evolve", "--dataset", "photos", "--seconds", 300, "--workers", 1)
    read_until("searching", process)
    os.killpg(process.pid, signal.SIGINT)
    read_until("Stopping run", process)
    os.killpg(process.pid, signal.SIGINT)
    end = ended(process, timeout_s=30)
    assert (end.code, end.last_words) == (130, "dicebox: interrupted")
    assert "Traceback" not in end.err
    assert box.left_nothing()


def test_ctrl_c_in_a_training_ends_its_worker_without_a_word_of_it(
    box: Dicebox, tmp_path: Path
) -> None:
    genome = tmp_path / "genome.json"
    genome.write_text("{}")
    process = box.start("train", "--dataset", "photos", "--genome", genome)
    until(lambda: any("spawn_main" in line for line in box.processes().values()))
    # The worker is just importing: a Ctrl-C on the terminal goes to it as well.
    os.killpg(process.pid, signal.SIGINT)
    end = ended(process, timeout_s=30)
    assert (end.code, end.last_words) == (130, "dicebox: interrupted")
    assert "the same command goes on from there." in end.err
    assert "Traceback" not in end.err
    until(box.left_nothing, timeout_s=5)


def bred_run(box: Dicebox) -> str:
    """Return the start of the id of the newest run."""
    return str(_runs(box)[0]["id"])[:8]


def _runs(box: Dicebox) -> list[dict]:
    end = box.run("runs", "--json")
    return end.json["runs"] if end.code == 0 else []
