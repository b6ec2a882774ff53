"""Evolvers, workers and the broker of a run are killed: its journal is that of one undisturbed."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.light_worker import LightWorkers
from commons.errors import ConflictError
from commons.fleet import jobs_queue
from tests.dicebox_processes import is_alive
from tests.evolver_builders import queued_run
from tests.fleet import WAIT_S, Fleet, eventually
from tests.quick_runner import tables
from tests.servers import Rabbit
from tests.unit.test_evolver_resume import SAME, comparable

pytestmark = pytest.mark.integration
FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"
KILLS = 20 if FULL else 3
# Enough that the last kill finds something to do.
MANY = {**SAME, "evaluations": 200 if FULL else 30, "population": 8}


@pytest.fixture
def fleets(
    broker: Rabbit, light: tuple[LightWorkers, str], tmp_path: Path
) -> Iterator[Callable[[str], Fleet]]:
    """Return a function that makes a fleet with a folder of its own."""
    made: list[Fleet] = []

    def make(name: str) -> Fleet:
        (tmp_path / name).mkdir()
        made.append(Fleet(broker, tmp_path / name, *light))
        made[-1].purge()
        return made[-1]

    yield make
    for fleet in made:
        fleet.stop()


def runner(fleet: Fleet, name: str) -> subprocess.Popen[bytes]:
    """Start a runner and return it when it is about to claim a run."""
    command = [sys.executable, "-m", "tests.fleet_runner", str(fleet.folder), name]
    process = subprocess.Popen([*command, fleet.rabbit.url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_run_ends_with_the_same_journal_whatever_is_killed(
    fleets: Callable[[str], Fleet], tell: Callable[[str], None]
) -> None:
    journals, killed = [], {"evolver": 0, "worker": 0, "broker": 0}
    rng = random.Random(7)
    for name in ("undisturbed", "disturbed"):
        fleet = fleets(name)
        runs, journal = tables(fleet.folder)
        runs.add(queued_run("r1", **MANY))
        worker = fleet.start(seconds=[0.05, 0.15])
        number = 0
        while runs.get("r1").state != "complete":
            process = runner(fleet, f"runner-{number}")
            number += 1
            if name == "disturbed" and killed["evolver"] < KILLS:
                time.sleep(rng.uniform(0.3, 1.0))
                if killed["worker"] <= killed["evolver"] // 2:
                    os.kill(worker, 9)
                    eventually(lambda gone=worker: not is_alive(gone))
                    worker = fleet.start(seconds=[0.05, 0.15])
                    killed["worker"] += 1
                    time.sleep(rng.uniform(0.0, 1.0))
                if killed["broker"] < 1 + KILLS // 10 and killed["evolver"] % 10 == 1:
                    fleet.rabbit.kill()
                    fleet.rabbit.start()
                    killed["broker"] += 1
                    time.sleep(rng.uniform(0.0, 1.0))
                process.kill()
                killed["evolver"] += 1
            process.communicate(timeout=WAIT_S)
        journals.append(comparable(journal.individuals("r1", histories=True)))
        trained = [known for each in journals[-1] for known in each["evaluations"]]
        starts = fleet.starts()
        tell(
            f"{name}: {len(trained)} trainings, {sum(starts.values())} starts,"
            f" {len(starts)} jobs, killed: {killed}"
        )
        assert {known["outcome"] for known in trained} == {"ok"}
        eventually(lambda at=fleet: at.messages(jobs_queue("cpu")) == 0)
        assert fleet.messages(jobs_queue("cpu") + ".dead") == 0
        kept = list(fleet.blobs.names())
        assert len(kept) == SAME["keep_weights"], kept
        fleet.stop()
        assert not fleet.orphans()
    assert journals[0] == journals[1]
    assert killed["evolver"] == KILLS
    assert min(killed.values()) >= 1


def test_a_second_evolver_on_a_run_is_refused(
    fleets: Callable[[str], Fleet], tell: Callable[[str], None]
) -> None:
    fleet = fleets("run")
    runs, journal = tables(fleet.folder)
    runs.add(queued_run("r1", **{**SAME, "evaluations": 4}))
    fleet.start(seconds=[0.5])
    first = runner(fleet, "first")
    eventually(fleet.starts)
    # What has a runner is neither claimed nor resumed by another one.
    assert runs.claim("second") is None
    with pytest.raises(ConflictError, match="r1"):
        runs.resume("r1", lambda _: False)
    second = runner(fleet, "second")
    second.communicate(timeout=WAIT_S)
    assert second.returncode == 0
    first.communicate(timeout=WAIT_S)
    assert runs.get("r1").state == "complete"
    starts = fleet.starts()
    assert set(starts.values()) == {1}
    trained = [known for each in journal.individuals("r1") for known in each.evaluations]
    tell(f"{len(trained)} trainings, {sum(starts.values())} starts, the second refused")
