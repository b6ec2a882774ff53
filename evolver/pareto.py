"""Several objectives at once: who is dominated by nobody, and who stands alone on a front.

Source: NSGA-II, Deb et al. 2002 (IEEE Transactions on Evolutionary Computation 6:2), section III.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from commons.messages import Objective
from evolver.selection import Fitness, Member, evaluated, ranked

Values = npt.NDArray[np.float64]


def fronts(values: Values) -> list[list[int]]:
    """Return the indices by non-domination: nobody dominates the first front, and so on.

    Args:
        values: (n, objectives), all to be made large. Equal rows do not dominate each other.
    """
    as_good = np.ones((len(values), len(values)), dtype=bool)
    for column in values.T:
        as_good &= column[:, None] >= column[None, :]
    dominates = as_good & ~as_good.T
    above = dominates.sum(axis=0)
    found: list[list[int]] = []
    while (above == 0).any():
        free = np.flatnonzero(above == 0)
        found.append([int(index) for index in free])
        above -= dominates[free].sum(axis=0)
        above[free] = -1
    return found


def crowding(values: Values) -> Values:
    """Return how alone each row of a front (n, objectives) is; the outermost are infinitely so.

    It is the sum over the objectives of the distance between both neighbours, as a share of
    that objective's range.
    """
    distances = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        sizes = column[order]
        distances[order[[0, -1]]] = math.inf
        # A latency that is not known is infinite: there is no distance to it.
        if np.isfinite(sizes).all() and sizes[-1] > sizes[0]:
            distances[order[1:-1]] += (sizes[2:] - sizes[:-2]) / (sizes[-1] - sizes[0])
    return distances


def sorted_by_front(values: Values) -> list[int]:
    """Return the indices, earlier fronts first, and in a front those that stand alone first."""
    order: list[int] = []
    for front in fronts(values):
        alone = crowding(values[front])
        order += [front[index] for index in np.argsort(-alone, kind="stable")]
    return order


def by_objectives(members: Sequence[Member], objectives: Sequence[Objective]) -> list[Member]:
    """Return evaluated members best first, as NSGA-II compares them, each by its best rung."""
    results = [member.fitness for member in members]
    return [members[index] for index in sorted_by_front(_values(members, results, objectives))]


def by_objectives_at(
    members: Sequence[Member], rung: int, objectives: Sequence[Objective]
) -> list[Member]:
    """Return members that finished a rung best first, by what they were there."""
    results = [member.at(rung) for member in members]
    return [members[index] for index in sorted_by_front(_values(members, results, objectives))]


def binary_tournament(rng: Generator, order: Sequence[Member]) -> Member:
    """Return the better of two members that are drawn from a list with the best first."""
    return order[int(rng.integers(len(order), size=2).min())]


def front(
    members: Sequence[Member],
    objectives: Sequence[Objective] = ("accuracy", "latency", "parameters"),
) -> list[Member]:
    """Return the members that no other dominates, the most accurate first.

    Accuracies are compared as they are, whatever rung they come from. Members without a
    measured latency are left out where latency counts; of equal members the oldest stays.
    """
    known = evaluated(members)
    if "latency" in objectives:
        known = [member for member in known if member.latency_us is not None]
    if not known:
        return []
    values = _values(known, [_best(member) for member in known], objectives, rungs=False)
    chosen = {tuple(values[index]): known[index] for index in reversed(fronts(values)[0])}
    return sorted(chosen.values(), key=lambda member: (-_best(member).accuracy, member.number))


def within(
    members: Sequence[Member], max_latency_us: float | None, max_parameters: int | None
) -> list[Member]:
    """Return the evaluated members that cost no more than that, best first.

    One whose latency is not known is above any latency.
    """
    return affordable(ranked(evaluated(members)), max_latency_us, max_parameters)


def affordable(
    members: Sequence[Member], max_latency_us: float | None, max_parameters: int | None
) -> list[Member]:
    """Return those of the members that cost no more than that, in the order they come."""
    return [
        member
        for member in members
        if (max_parameters is None or member.parameters <= max_parameters)
        and (max_latency_us is None or _latency(member) <= max_latency_us)
    ]


def choose(
    members: Sequence[Member],
    max_latency_us: float | None = None,
    max_parameters: int | None = None,
) -> Member | None:
    """Return the best member that costs no more than that, or None if none is so cheap."""
    return next(iter(within(members, max_latency_us, max_parameters)), None)


def _best(member: Member) -> Fitness:
    """Return the most accurate result of an evaluated member, whatever its rung."""
    known = [result for result in member.results if result is not None and not result.failed]
    return max(known, key=lambda result: result.accuracy)


def _latency(member: Member) -> float:
    return math.inf if member.latency_us is None else member.latency_us


def _values(
    members: Sequence[Member],
    results: Sequence[Fitness | None],
    objectives: Sequence[Objective],
    *,
    rungs: bool = True,
) -> Values:
    """Return (members, objectives), all to be made large; a higher rung outweighs all accuracy.

    Costs are logarithms: the front is to be as dense at a thousand parameters as at a million.
    """

    def value(member: Member, result: Fitness | None, objective: Objective) -> float:
        if objective == "parameters":
            return -math.log(max(member.parameters, 1))
        if objective == "latency":
            return -math.log(_latency(member))
        if result is None:
            return -math.inf
        return result.accuracy + (result.rung if rungs else 0)

    rows = [
        [value(member, result, objective) for objective in objectives]
        for member, result in zip(members, results, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(members), len(objectives))
