"""Runs whose processes are killed with SIGKILL, and what `--resume` makes of them."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commons.adapters.file_blobs import FileBlobs
from tests.dicebox_processes import Dicebox, ended, until
from tests.evolver_builders import queued_run
from tests.quick_runner import tables
from tests.unit.test_evolver_resume import SAME, comparable

pytestmark = [pytest.mark.e2e, pytest.mark.alone]
KILLS = 8
MANY = {**SAME, "evaluations": 30, "population": 8}


def quick_runner(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """Start a runner and return it when it is about to claim a run."""
    command = [sys.executable, "-m", "tests.quick_runner", str(folder), name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_runner_that_is_killed_again_and_again_ends_with_the_journal_of_one_that_was_not(
    tmp_path: Path,
) -> None:
    journals = []
    for name in ("undisturbed", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        runs, journal = tables(folder)
        runs.add(queued_run("r1", **MANY))
        rng, kills = random.Random(7), 0
        while runs.get("r1").state != "complete":
            process = quick_runner(folder, f"runner-{kills}")
            if name == "killed" and kills < KILLS:
                time.sleep(rng.uniform(0.0, 0.4))
                process.kill()
                kills += 1
            process.communicate(timeout=60)
        journals.append(comparable(journal.individuals("r1", histories=True)))
        # One that is killed before it claims the run leaves it queued.
        assert kills - 2 <= runs.get("r1").resumed <= kills
        kept = list(FileBlobs(folder / "blobs").names())
        assert len(kept) == SAME["keep_weights"], kept
        assert all(name.startswith("weights/r1/") for name in kept)
    assert journals[0] == journals[1]
    assert kills > KILLS // 2


def trained(box: Dicebox) -> dict[str, tuple[float, float]]:
    """Return what ended well in the run, if there is one: its fitness and when it ended."""
    runs = box.run("runs", "--json").json["runs"]
    if not runs:
        return {}
    (run,) = runs
    shown = box.run("runs", run["id"], "--json").json
    return {
        f"{each['number']}/{known['rung']}": (known["accuracy"], known["ended"])
        for each in shown["individuals"]
        for known in each["evaluations"]
        if known["outcome"] == "ok"
    }


def test_what_was_killed_with_all_its_processes_goes_on_where_it_was(box: Dicebox) -> None:
    process = box.start(
        "evolve", "--dataset", "photos", "--seconds", 40, "--evaluations", 5, "--workers", 1
    )
    until(lambda: len(trained(box)) >= 2, timeout_s=60)
    os.killpg(process.pid, signal.SIGKILL)
    ended(process)
    until(box.left_nothing)
    before = trained(box)
    (run,) = box.run("runs", "--json").json["runs"]
    # Children of a house that is killed get a signal: its runner may have said a last word.
    assert run["state"] in ("running", "interrupted")
    end = box.run("evolve", "--resume", run["id"][:6], "--json")
    assert end.code == 0, end.err
    assert (end.json["state"], end.json["resumed"], end.json["promoted"]) == ("complete", 1, True)
    assert end.json["progress"]["seconds"] < 43
    after = trained(box)
    assert before.items() <= after.items()
    assert len(after) > len(before)
    again = box.run("evolve", "--resume", run["id"])
    assert (again.code, "is complete" in again.last_words) == (1, True)
    assert box.left_nothing()


def test_killing_the_runner_or_a_worker_of_a_house_costs_little(box: Dicebox) -> None:
    _, url = box.up()
    process = box.start(
        "evolve", "--dataset", "photos", "--seconds", 40, "--evaluations", 4, "--workers", 1
    )
    until(lambda: trained(box), timeout_s=60)
    os.kill(box.process("spawn_main"), signal.SIGKILL)
    os.kill(box.process("dicebox.child", " evolver"), signal.SIGKILL)
    stopped = ended(process, timeout_s=60)
    assert stopped.code == 1
    assert "--resume" in stopped.last_words
    before = trained(box)
    (run,) = box.run("--url", url, "runs", "--json").json["runs"]
    assert (run["state"], run["reason"]) == ("interrupted", "its runner ended before it did")
    end = box.run("--url", url, "evolve", "--resume", run["id"], "--json")
    assert end.code == 0, end.err
    assert end.json["state"] == "complete"
    assert before.items() <= trained(box).items()
