import math

import pytest

from benchmarks.estimates import deviation, difference, mean, student_quantile


@pytest.mark.parametrize(
    ("freedom", "share", "expected"),
    # From the tables of any textbook.
    [
        (1, 0.975, 12.706),
        (4, 0.975, 2.776),
        (8, 0.975, 2.306),
        (8, 0.95, 1.860),
        (1000, 0.975, 1.962),
    ],
)
def test_students_quantiles_are_those_of_the_tables(
    freedom: float, share: float, expected: float
) -> None:
    assert student_quantile(freedom, share) == pytest.approx(expected, abs=6e-4)


def test_the_interval_of_a_difference_is_welchs() -> None:
    ours, theirs = [99.0, 98.0, 98.5, 99.5, 98.5], [97.0, 98.5, 96.0, 98.0, 97.5]
    found = difference(ours, theirs)
    # Worked out by hand: variances 0.325 and 0.925, standard error 0.5, 6.48 degrees of freedom.
    assert found.value == pytest.approx(1.3)
    assert found.low == pytest.approx(1.3 - 0.5 * student_quantile(6.48, 0.975), abs=1e-3)
    assert found.high == pytest.approx(1.3 + 0.5 * student_quantile(6.48, 0.975), abs=1e-3)


def test_one_value_has_a_mean_but_no_spread() -> None:
    assert mean([98.5]) == 98.5
    assert deviation([98.5]) is None
    found = difference([98.5], [98.0, 97.0])
    assert (found.value, found.low, found.high) == (1.0, None, None)


def test_what_never_varied_has_an_interval_of_no_width() -> None:
    found = difference([1.0, 1.0], [0.5, 0.5])
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_the_deviation_is_that_of_a_sample() -> None:
    assert deviation([1.0, 3.0]) == pytest.approx(math.sqrt(2))
