"""`python -m benchmarks.resume`: how long a run that was killed takes to go on, and what it lost.

The runner of a run with some hundred evaluations is killed (SIGKILL), the house starts another,
and the run is resumed over HTTP, several times in one run. The clock runs from the request to
resume until the journal has a training that was submitted after it.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import click

from benchmarks.datasets import freeze_dataset
from benchmarks.frame import Findings, Options, benchmark
from benchmarks.installation import fresh_dicebox
from benchmarks.processes import tree
from benchmarks.rows import Row, at_most
from benchmarks.runs import SECONDS_EACH, WORKERS, short_candidates
from commons.errors import DiceboxError, UnavailableError
from commons.messages import Individual
from dicebox.client import Client
from dicebox.run_display import ENDED

_CANDIDATE_EPOCHS = 2
_EVALUATIONS_BETWEEN = 10
_POLL_S = 0.02
_PATIENCE_S = 120.0
_QUICK_EVALUATIONS, _QUICK_KILLS = 10, 1

Trainings = dict[tuple[int, str], float]


@dataclass(frozen=True)
class Kill:
    """One kill, in seconds.

    Args:
        noticed_s: From the kill until the run was marked as interrupted.
        resumed_s: From the request to resume until a training was submitted.
        evaluations: How many trainings had ended before.
        lost: How many of those are gone from the journal.
        again: How many of those were trained again.
    """

    noticed_s: float
    resumed_s: float
    evaluations: int
    lost: int
    again: int


@benchmark("resume")
@click.option(
    "--evaluations",
    default=300,
    show_default=True,
    type=click.IntRange(1),
    help="Trainings that have ended before the first kill.",
)
@click.option("--kills", default=5, show_default=True, type=click.IntRange(1))
def resume(options: Options, evaluations: int, kills: int) -> Findings:
    """Kill the runner of a run again and again, and take the run up again each time."""
    if options.quick:
        evaluations, kills = _QUICK_EVALUATIONS, _QUICK_KILLS
    most = evaluations + kills * _EVALUATIONS_BETWEEN + 10 * WORKERS
    request = short_candidates(most, _CANDIDATE_EPOCHS)
    with fresh_dicebox(options.work / "houses") as (running, client):
        freeze_dataset(client, request.dataset, options.datasets, options.work)
        run = client.evolution.start(request).id
        found = []
        for number in range(kills):
            wanted = evaluations + number * _EVALUATIONS_BETWEEN
            _until(partial(_has, client, run, wanted), most * SECONDS_EACH)
            options.say(f"resume: kill {number + 1} of {kills}")
            found.append(_kill(client, run, running.pid))
        client.evolution.stop(run)
        _until(lambda: client.evolution.run(run).state in ENDED, _PATIENCE_S)
    return Findings(summary(found), details={"kills": [vars(each) for each in found]})


def _kill(client: Client, run: str, house: int) -> Kill:
    before = trainings(client.evolution.individuals(run))
    killed = time.monotonic()
    os.kill(runner_of(house), signal.SIGKILL)
    _until(lambda: client.evolution.run(run).state == "interrupted", _PATIENCE_S)
    noticed = time.monotonic() - killed
    # What ended between the look and the kill was not lost either.
    before |= trainings(client.evolution.individuals(run))
    asked = time.time()
    client.evolution.resume(run)
    submitted: list[float] = []

    def goes_on() -> bool:
        submitted.extend(submitted_after(client.evolution.individuals(run), asked))
        return bool(submitted)

    _until(goes_on, _PATIENCE_S)
    after = trainings(client.evolution.individuals(run))
    return Kill(
        noticed,
        min(submitted) - asked,
        len(before),
        lost=len(before.keys() - after.keys()),
        again=sum(1 for key, ended in before.items() if after.get(key, ended) != ended),
    )


def runner_of(house: int) -> int:
    """Return the process of a house that evolves.

    Raises:
        DiceboxError: It has none.
    """
    for process in tree(house):
        if process.cmdline()[-1:] == ["evolver"]:
            return int(process.pid)
    raise DiceboxError(f"process {house} has no runner")


def trainings(individuals: Sequence[Individual]) -> Trainings:
    """Return when each training ended that ended well."""
    return {
        (individual.number, known.rung): known.ended or 0.0
        for individual in individuals
        for known in individual.evaluations
        if known.outcome == "ok"
    }


def submitted_after(individuals: Sequence[Individual], moment: float) -> list[float]:
    """Return when trainings were submitted after a moment (unix seconds)."""
    return [
        known.started
        for individual in individuals
        for known in individual.evaluations
        if known.started is not None and known.started > moment
    ]


def summary(kills: Sequence[Kill]) -> list[Row]:
    """Return the rows."""
    took = [each.resumed_s for each in kills]
    noticed = median(each.noticed_s for each in kills)
    return [
        Row("resume until the first submission, median", "s", median(took), goal=at_most(5)),
        Row("resume until the first submission, slowest", "s", max(took), goal=at_most(5)),
        Row("kill until the run is marked interrupted, median", "s", noticed),
        Row("evaluations before the last kill", "", kills[-1].evaluations),
        Row("finished evaluations lost", "", sum(each.lost for each in kills), goal=at_most(0)),
        Row(
            "finished evaluations repeated", "", sum(each.again for each in kills), goal=at_most(0)
        ),
    ]


def _has(client: Client, run: str, evaluations: int) -> bool:
    found = client.evolution.run(run)
    if found.state in ENDED:
        raise DiceboxError(f"the run ended too early, as {found.state}: {found.reason}")
    return found.progress.evaluated >= evaluations


def _until(holds: Callable[[], Any], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise UnavailableError(f"nothing came of it within {timeout_s:g} s")
        time.sleep(_POLL_S)


if __name__ == "__main__":
    resume()
