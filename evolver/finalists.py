"""Whom the last part of a budget goes to: not who is best so far, but whose curve would end best.

The highest rung still is short, and prefers what learns fast: small networks, and heirs, which
began where their parents had come to. The final training is about as much again as all that
went before; there who still gains overtakes who has learned all it can.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from evolver.selection import Member

# Nobody has fewer wrong than that: an estimate from no mistakes would be of no errors at all.
_HALF_A_MISTAKE = 0.5


class _End(NamedTuple):
    """The logarithm of the share of wrong answers that is expected, and its variance."""

    log_error: float
    variance: float


def finalists(members: Sequence[Member], further: float, images: int) -> list[Member]:
    """Return members in the order in which they should get a final training.

    It is that of their fitness, but for the first: where another one of the highest rung is
    expected to end better, and by more than chance explains (one standard error of what so many
    images say), that one is first. Errors fall by a power law of the time that was trained: each
    rung, which is three times the one below, divides them by the same number.

    Args:
        members: That may be published, all evaluated, the fittest first.
        further: What the final training adds, in rungs.
        images: That accuracies were measured on.

    Source: the power law is that of Hestness et al. 2017, Deep Learning Scaling is Predictable,
    Empirically; to decide by an extrapolated curve is Domhan et al. 2015, Speeding Up Automatic
    Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning Curves.
    """
    order = list(members)
    if not order or _expected_end(order[0], further, images) is None:
        return order
    ends = {
        member.number: end
        for member in order
        if _rung(member) == _rung(order[0])
        and (end := _expected_end(member, further, images)) is not None
    }
    leader = ends[order[0].number]
    first = min(order, key=lambda member: _log_error(ends.get(member.number)))
    challenger = ends[first.number]
    chance = math.sqrt(leader.variance + challenger.variance)
    if leader.log_error - challenger.log_error <= chance:
        return order
    return [first, *(member for member in order if member is not first)]


def _expected_end(member: Member, further: float, images: int) -> _End | None:
    rung = _rung(member)
    last, before = member.at(rung), member.at(rung - 1) if rung > 1 else None
    if last is None or before is None or before.failed:
        return None
    wrong = _wrong(last.accuracy, images)
    wrong_before = max(_wrong(before.accuracy, images), wrong)
    gain = math.log(wrong_before / wrong)
    # A count of mistakes has itself for its variance, its logarithm the inverse.
    variance = (1.0 + further) ** 2 / wrong + further**2 / wrong_before
    return _End(math.log(wrong / images) - further * gain, variance)


def _rung(member: Member) -> int:
    return member.fitness.rung if member.fitness else 0


def _wrong(accuracy: float, images: int) -> float:
    return max((1.0 - accuracy) * images, _HALF_A_MISTAKE)


def _log_error(end: _End | None) -> float:
    return math.inf if end is None else end.log_error
