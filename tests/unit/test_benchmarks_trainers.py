import pytest

from benchmarks.cells import Cell, Measured
from benchmarks.trainers import candidates_per_minute, rows
from commons.errors import DiceboxError
from commons.messages import Evaluation, Individual


def individual(number: int, *known: Evaluation) -> Individual:
    return Individual(
        number=number, genome={}, genome_hash="h", description="d", parents=[], operator="random",
        state="finished", parameters=1, evaluations=list(known),
    )  # fmt: skip


def test_candidates_count_from_the_first_end_to_the_last() -> None:
    found = [
        individual(
            number, Evaluation(rung="1", ended=1000.0 + 4 * number), Evaluation(rung="final")
        )
        for number in range(1, 6)
    ]
    assert candidates_per_minute(found) == pytest.approx(15.0)
    with pytest.raises(DiceboxError, match="more than one"):
        candidates_per_minute(found[:1])


def test_the_ratio_is_that_of_rounds_side_by_side() -> None:
    rates = {"local": [20.0, 10.0, 30.0], "celery": [19.4, 9.2, 29.1]}
    found = [
        Measured(Cell("trainers", arm, "digits", number), {"per_minute": rate}, {})
        for arm, each in rates.items()
        for number, rate in enumerate(each)
    ]
    ratio = rows(found)[-1]
    assert ratio.ours == pytest.approx(0.97)
    assert ratio.met is True
