import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commons.genome import Genome
from evolver.rungs import ETA, Climb, by_accuracy, finished, next_climb
from evolver.selection import FAILED, Fitness, Member

RUNGS = 3
results = st.one_of(
    st.none(),
    st.just(FAILED),
    st.builds(Fitness, st.sampled_from([0.2, 0.5, 0.9]), st.sampled_from([0.1, 0.7])),
)


@st.composite
def crowds(draw: st.DrawFn) -> list[Member]:
    """Members on any rung; only what is trained, or failed, is the last of a member."""
    members = []
    for number in range(1, draw(st.integers(0, 25)) + 1):
        row: list[Fitness | None] = []
        for rung in range(1, draw(st.integers(1, RUNGS)) + 1):
            result = draw(results)
            row.append(result._replace(rung=rung) if result and not result.failed else result)
            if result is None or result.failed:
                break
        members.append(Member(number, Genome(), str(number), results=tuple(row)))
    return members


@settings(max_examples=300, deadline=None)
@given(members=crowds())
def test_only_the_best_third_of_a_rung_climbs_and_only_one_rung_up(members: list[Member]) -> None:
    climb = next_climb(members, RUNGS, by_accuracy)
    if climb is None:
        return
    below = climb.rung - 1
    member = next(each for each in members if each.number == climb.number)
    result = member.at(below)
    assert result is not None
    assert not result.failed
    assert len(member.results) == below < RUNGS
    others = [each.at(below) for each in members]
    known = [other for other in others if other is not None and not other.failed]
    assert sum(other.rank > result.rank for other in known) < len(known) // ETA


@settings(max_examples=300, deadline=None)
@given(members=crowds())
def test_nobody_is_passed_over(members: list[Member]) -> None:
    """If nobody climbs, every rung has sent its third up or has nobody left in its third."""
    if next_climb(members, RUNGS, by_accuracy) is not None:
        return
    for rung in range(1, RUNGS):
        done = finished(members, rung)
        climbed = sum(len(member.results) > rung for member in done)
        best = by_accuracy(done, rung)[: len(done) // ETA]
        assert climbed >= len(done) // ETA or all(len(member.results) > rung for member in best)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), improving=st.booleans())
def test_a_third_climbs_even_if_every_newcomer_is_better(seed: int, improving: bool) -> None:
    rng = np.random.default_rng(seed)
    members: list[Member] = []
    climbs = 0
    for number in range(1, 61):
        accuracy = number / 100 if improving else float(rng.random())
        members.append(Member(number, Genome(), str(number), results=(Fitness(accuracy, 1.0),)))
        while climb := next_climb(members, 2, by_accuracy):
            climbs += 1
            index = climb.number - 1
            higher = Fitness(members[index].results[0].accuracy, 1.0, 2)  # type: ignore[union-attr]
            members[index] = members[index].with_result(2, higher)
        assert climbs <= number // ETA
    assert climbs >= 15


def test_the_highest_rung_goes_first() -> None:
    members = [
        Member(n, Genome(), str(n), results=tuple(Fitness(n / 10, 1.0, r) for r in (1, 2)))
        for n in range(1, 4)
    ]
    members += [Member(n, Genome(), str(n), results=(Fitness(0.9, 1.0),)) for n in range(4, 16)]
    assert next_climb(members, 3, by_accuracy) == Climb(3, 3)
    assert next_climb(members, 2, by_accuracy) == Climb(4, 2)


def test_one_rung_has_nothing_above_it() -> None:
    members = [Member(n, Genome(), str(n), results=(Fitness(0.5, 1.0),)) for n in range(9)]
    assert next_climb(members, 1, by_accuracy) is None
