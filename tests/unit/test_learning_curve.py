import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commons.learning_curve import Curve, bar_of, best_until, curve_of, hopeless

SHARES = tuple(step / 10 for step in range(1, 11))
curves = st.lists(st.floats(0.0, 1.0), min_size=10, max_size=10).map(
    lambda accuracies: tuple(zip(SHARES, accuracies, strict=True))
)


def rising(end: float, late: float = 0.0) -> Curve:
    """Return a curve that rises evenly to its end, `late` of the budget later than usual."""
    return tuple((share, end * max(0.0, share - late) / (1.0 - late)) for share in SHARES)


@settings(max_examples=100, deadline=None)
@given(finished=st.lists(curves, min_size=6, max_size=20), running=curves)
def test_nobody_in_the_better_half_at_its_share_is_ever_stopped(
    finished: list[Curve], running: Curve
) -> None:
    bar = bar_of(finished)
    for length in range(1, len(running) + 1):
        so_far = running[:length]
        share = so_far[-1][0]
        better = sum(best_until(other, share) > best_until(so_far, share) for other in finished)
        if better < len(finished) / 2:
            assert not hopeless(so_far, bar)


@settings(max_examples=30, deadline=None)
@given(finished=st.lists(curves, min_size=6, max_size=20))
def test_nobody_is_stopped_before_the_grace_ends(finished: list[Curve]) -> None:
    assert not hopeless(((0.1, 0.0), (0.29, 0.0)), bar_of(finished))


def test_a_training_far_below_all_others_is_stopped_and_one_like_them_is_not() -> None:
    bar = bar_of([rising(0.9 + 0.01 * number) for number in range(9)])
    poor = rising(0.2)
    stopped = [
        share for length, (share, _) in enumerate(poor, start=1) if hopeless(poor[:length], bar)
    ]
    assert stopped[-1] == 1.0
    assert stopped[0] <= 0.7
    average = rising(0.95)
    assert not any(hopeless(average[:length], bar) for length in range(1, 11))


def test_a_late_bloomer_is_not_stopped_where_others_bloomed_as_late() -> None:
    late = [rising(0.95, late=0.6), rising(0.96, late=0.6)]
    bar = bar_of([*(rising(0.9) for _ in range(7)), *late])
    again = rising(0.97, late=0.6)
    assert not any(hopeless(again[:length], bar) for length in range(1, 11))


@pytest.mark.parametrize("known", [0, 1, 5])
def test_with_few_curves_there_is_no_bar(known: int) -> None:
    assert bar_of([rising(0.9)] * known) is None
    assert not hopeless(((0.9, 0.0),), None)


def test_a_curve_is_by_the_share_of_the_seconds_it_took() -> None:
    assert curve_of([1.0, 2.0, 4.0], [0.1, 0.5, 0.4]) == ((0.25, 0.1), (0.5, 0.5), (1.0, 0.4))
    assert curve_of([], []) == ()
    assert best_until(curve_of([1.0, 2.0, 4.0], [0.1, 0.5, 0.4]), 1.0) == 0.5
    assert np.isclose(best_until(((0.3, 0.7),), 0.1 * 3), 0.7)
