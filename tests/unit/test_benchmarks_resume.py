import os

import pytest

from benchmarks.resume import Kill, runner_of, submitted_after, summary, trainings
from commons.errors import DiceboxError
from commons.messages import Evaluation, Individual


def individual(number: int, *known: Evaluation) -> Individual:
    return Individual(
        number=number, genome={}, genome_hash="h", description="d", parents=[], operator="random",
        state="finished", parameters=1, evaluations=list(known),
    )  # fmt: skip


def test_the_journal_says_what_ended_and_what_was_submitted_when() -> None:
    ended = Evaluation(rung="1", outcome="ok", started=10.0, ended=12.0)
    failed = Evaluation(rung="1", outcome="error", started=11.0, ended=13.0)
    waiting = Evaluation(rung="1", started=14.0)
    found = [individual(1, ended), individual(2, failed), individual(3, waiting)]
    assert trainings(found) == {(1, "1"): 12.0}
    assert submitted_after(found, 10.5) == [11.0, 14.0]
    assert submitted_after(found, 14.0) == []


def test_the_rows_say_how_long_it_took_and_what_it_cost() -> None:
    kills = [
        Kill(0.5, 1.0, 300, lost=0, again=0),
        Kill(0.7, 6.0, 310, lost=1, again=0),
        Kill(0.6, 2.0, 320, lost=0, again=0),
    ]
    rows = {row.measure: row for row in summary(kills)}
    assert rows["resume until the first submission, median"].ours == 2.0
    assert rows["resume until the first submission, slowest"].met is False
    assert rows["evaluations before the last kill"].ours == 320
    assert rows["finished evaluations lost"].met is False
    assert rows["finished evaluations repeated"].met is True


def test_a_process_without_a_runner_is_an_error() -> None:
    with pytest.raises(DiceboxError, match="has no runner"):
        runner_of(os.getpid())
