import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commons.genome import Genome
from evolver.pareto import (
    binary_tournament,
    by_objectives,
    choose,
    crowding,
    front,
    fronts,
    sorted_by_front,
    within,
)
from evolver.selection import FAILED, Fitness, Member

# Few different values, so that equal ones are common.
tables = st.integers(1, 3).flatmap(
    lambda columns: st.lists(
        st.lists(
            st.sampled_from([-math.inf, 0.0, 1.0, 2.0, 5.0]), min_size=columns, max_size=columns
        ),
        min_size=1,
        max_size=25,
    )
)


def dominates(one: list[float], other: list[float]) -> bool:
    """Return what the definition says: nowhere worse and somewhere better."""
    pairs = list(zip(one, other, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def member(
    number: int, accuracy: float | None, parameters: int, latency_us: float | None = None
) -> Member:
    result = None if accuracy is None else Fitness(accuracy, 1.0 - accuracy)
    return Member(number, Genome(), str(number), parameters, (result,), latency_us)


@settings(max_examples=300, deadline=None)
@given(table=tables)
def test_fronts_are_what_the_definition_says(table: list[list[float]]) -> None:
    left, expected = list(range(len(table))), []
    while left:
        free = [i for i in left if not any(dominates(table[j], table[i]) for j in left)]
        expected.append(free)
        left = [i for i in left if i not in free]
    assert fronts(np.array(table)) == expected


@settings(max_examples=200, deadline=None)
@given(table=tables)
def test_the_order_has_everybody_once_and_earlier_fronts_first(table: list[list[float]]) -> None:
    values = np.array(table)
    order = sorted_by_front(values)
    assert sorted(order) == list(range(len(table)))
    place = {index: number for number, found in enumerate(fronts(values)) for index in found}
    assert [place[index] for index in order] == sorted(place.values())


def test_the_ends_of_a_front_stand_alone_and_a_crowd_does_not() -> None:
    values = np.array([[0.0, 10.0], [1.0, 9.0], [1.1, 8.9], [5.0, 5.0], [10.0, 0.0]])
    distances = crowding(values)
    assert distances[0] == distances[4] == math.inf
    assert distances[3] > distances[1]
    assert distances[3] > distances[2]
    np.testing.assert_allclose(distances[3], (10 - 1.1) / 10 + (8.9 - 0) / 10)


def test_equal_members_are_no_nearer_to_each_other_than_nothing() -> None:
    assert list(crowding(np.ones((3, 2)))) == [math.inf, 0.0, math.inf]


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([0.5, 0.7, 0.9]), st.sampled_from([10, 20, 30])), max_size=12
    ),
    limit=st.sampled_from([5, 10, 20, 30]),
)
def test_the_front_and_the_choice_are_what_a_search_by_hand_gives(
    rows: list[tuple[float, int]], limit: int
) -> None:
    members = [member(number, *row) for number, row in enumerate(rows)]
    found = front(members, ("accuracy", "parameters"))
    points = [[accuracy, -float(parameters)] for accuracy, parameters in rows]
    best_rows = {
        (one[0], -one[1]) for one in points if not any(dominates(other, one) for other in points)
    }
    rows_found = [(each.fitness.accuracy, each.parameters) for each in found if each.fitness]
    assert len(rows_found) == len(set(rows_found))
    assert set(rows_found) == best_rows
    assert rows_found == sorted(rows_found, reverse=True)
    chosen = choose(members, max_parameters=limit)
    cheap = [accuracy for accuracy, parameters in rows if parameters <= limit]
    accuracy = chosen.fitness.accuracy if chosen and chosen.fitness else None
    assert accuracy == max(cheap, default=None)


def test_what_failed_or_still_trains_is_on_no_front_and_never_chosen() -> None:
    failed = Member(1, Genome(), "1", 10, (FAILED,))
    members = [failed, member(2, None, 10), member(3, 0.5, 50)]
    assert [each.number for each in front(members, ("accuracy", "parameters"))] == [3]
    assert [each.number for each in within(members, None, None)] == [3]
    assert choose(members, max_parameters=20) is None


def test_a_latency_that_is_not_known_fits_no_budget() -> None:
    members = [member(1, 0.9, 10), member(2, 0.8, 10, 50.0), member(3, 0.7, 10, 20.0)]
    chosen = [choose(members, max_latency_us=limit) for limit in (None, 60.0, 30.0, 10.0)]
    assert [each.number if each else None for each in chosen] == [1, 2, 3, None]
    assert [each.number for each in front(members)] == [2, 3]


def test_a_higher_rung_outweighs_accuracy_where_parents_are_chosen_but_not_on_the_front() -> None:
    climbed = Member(1, Genome(), "1", 10, (Fitness(0.7, 0.3), Fitness(0.8, 0.2, 2)))
    young = member(2, 0.85, 10)
    objectives = ("accuracy", "parameters")
    assert [each.number for each in by_objectives([young, climbed], objectives)] == [1, 2]
    assert [each.number for each in front([young, climbed], objectives)] == [2]


def test_a_binary_tournament_prefers_the_front_of_the_order() -> None:
    order = [member(number, 0.5, 10) for number in range(10)]
    rng = np.random.default_rng(0)
    drawn = [binary_tournament(rng, order).number for _ in range(600)]
    assert 2.5 < np.mean(drawn) < 3.3
    assert set(drawn) == set(range(10))
