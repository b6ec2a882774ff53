"""Asynchronous successive halving: who is trained further.

Each rung trains longer than the one below. Nobody waits for a rung to fill: whoever stands in
the best third of those that finished a rung so far may climb, the highest rung first.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from evolver.selection import Member

ETA = 3

Order = Callable[[Sequence[Member], int], list[Member]]


class Climb(NamedTuple):
    """An evaluated member that is trained further, up to `rung`."""

    number: int
    rung: int


def next_climb(
    members: Sequence[Member], rungs: int, order: Order, spared: int = 0
) -> Climb | None:
    """Return who climbs next, None if nobody may.

    A member climbs if it is among the best `1 / ETA` of those that finished its rung, and if
    fewer than that share of them have climbed. Without the second condition a search that
    gets better and better would train nearly every newcomer further.

    The first members may be spared: they climb to the top whatever the others do. A short rung
    prefers what learns fast, which may end low; Hyperband has brackets against that.

    Args:
        members: All members, dead ones too.
        rungs: The highest rung.
        order: Returns members that finished a rung best first.
        spared: How many of the members, the oldest, are.

    Source: Li et al. 2018, A System for Massively Parallel Hyperparameter Tuning (ASHA), section
    3.2; Li et al. 2017, Hyperband, section 3.1.
    """
    for member in members[:spared]:
        rung = len(member.results)
        result = member.at(rung)
        if rung < rungs and result is not None and not result.failed:
            return Climb(member.number, rung + 1)
    for rung in range(rungs - 1, 0, -1):
        done = finished(members, rung)
        share = len(done) // ETA
        if sum(len(member.results) > rung for member in done) >= share:
            continue
        for member in order(done, rung)[:share]:
            if len(member.results) == rung:
                return Climb(member.number, rung + 1)
    return None


def finished(members: Sequence[Member], rung: int) -> list[Member]:
    """Return the members that ended a rung without failing, oldest first."""
    results = ((member, member.at(rung)) for member in members)
    return [member for member, result in results if result is not None and not result.failed]


def by_accuracy(members: Sequence[Member], rung: int) -> list[Member]:
    """Return members that finished a rung, the best there first, of equal ones the older."""
    return sorted(members, key=lambda member: _rank_at(member, rung), reverse=True)


def _rank_at(member: Member, rung: int) -> tuple[float, float, float]:
    result = member.at(rung)
    assert result is not None  # noqa: S101 - tells the type checker
    return result.rank
