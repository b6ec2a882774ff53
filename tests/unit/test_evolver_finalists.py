"""Who gets the final training: whose learning curve would end best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commons.genome import Genome
from evolver.finalists import finalists
from evolver.selection import FAILED, Fitness, Member, ranked

IMAGES = 5000


def member(number: int, *accuracies: float) -> Member:
    results = tuple(Fitness(accuracy, 1.0, rung) for rung, accuracy in enumerate(accuracies, 1))
    return Member(number, Genome(), str(number), results=results)


def order(*members: Member, further: float = 1.0, images: int = IMAGES) -> list[int]:
    return [each.number for each in finalists(ranked(members), further, images)]


HEIR = member(1, 0.78, 0.81, 0.83)
LATE = member(2, 0.62, 0.74, 0.815)


def test_who_still_gains_comes_before_who_has_learned_all_it_can() -> None:
    assert order(HEIR, LATE, member(3, 0.80)) == [2, 1, 3]


def test_a_short_final_training_is_for_the_best_so_far() -> None:
    assert order(HEIR, LATE, further=0.1) == [1, 2]


def test_what_chance_explains_changes_nothing() -> None:
    # The same shares of few images: 17 mistakes and 18 are no difference.
    assert order(HEIR, LATE, images=100) == [1, 2]
    # As on MNIST: 24 of 6,000 wrong, after 30 and after 36.
    assert order(member(1, 0.99, 1 - 30 / 6000, 1 - 24 / 6000), member(2, 0.99, 0.994, 0.9958)) == [
        1,
        2,
    ]


def test_a_lower_rung_is_not_compared_with_a_higher_one() -> None:
    assert order(HEIR, member(2, 0.5, 0.8)) == [1, 2]


def test_with_one_rung_the_best_is_first() -> None:
    assert order(member(1, 0.8), member(2, 0.9)) == [2, 1]


def test_who_failed_on_the_highest_rung_counts_by_the_one_below() -> None:
    failed = Member(3, Genome(), "3", results=(Fitness(0.5, 1.0, 1), Fitness(0.9, 1.0, 2), FAILED))
    assert order(failed, HEIR, LATE) == [2, 1, 3]


def test_nobody_gives_nobody() -> None:
    assert order() == []


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_all_right_and_all_wrong_are_numbers_too(accuracy: float) -> None:
    assert sorted(order(member(1, accuracy, accuracy), member(2, 0.5, 0.6))) == [1, 2]


accuracies = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=3)


@given(
    st.lists(accuracies, max_size=8), st.floats(0.0, 3.0), st.integers(min_value=1, max_value=10**6)
)
def test_it_is_the_order_of_fitness_but_for_the_first(
    found: list[list[float]], further: float, images: int
) -> None:
    members = [member(number, *each) for number, each in enumerate(found, 1)]
    ranked = order(*members, further=0.0, images=images)
    now = order(*members, further=further, images=images)
    assert sorted(now) == sorted(ranked)
    assert now[1:] == [each for each in ranked if each != now[0]] if now else not ranked
