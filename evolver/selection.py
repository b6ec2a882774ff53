"""Who is better, who becomes a parent, who survives."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from numpy.random import Generator

from commons.genome import Genome


class Fitness(NamedTuple):
    """What the validation split says after a rung: accuracy, the lower loss where it is equal.

    More training gives more accuracy, so the higher rung is compared first.
    """

    accuracy: float
    loss: float
    rung: int = 1

    @property
    def failed(self) -> bool:
        """Say whether there is nothing to compare."""
        return math.isnan(self.accuracy)

    @property
    def rank(self) -> tuple[float, float, float]:
        """Return a key that grows with quality; a failure is below all, a NaN loss worst."""
        if self.failed:
            return (-math.inf, -math.inf, -math.inf)
        return (self.rung, self.accuracy, -math.inf if math.isnan(self.loss) else -self.loss)


FAILED = Fitness(math.nan, math.nan, 0)


@dataclass(frozen=True)
class Member:
    """A genome in the search.

    Args:
        number: Its age: numbers rise.
        genome: What it is.
        key: The same for genomes that build the same network.
        parameters: Numbers its network has.
        results: What came of each rung it was given, from the first; None while it is trained.
        latency_us: Of one image, or None where it was not measured (yet, or on this machine).
    """

    number: int
    genome: Genome
    key: str
    parameters: int = 0
    results: tuple[Fitness | None, ...] = (None,)
    latency_us: float | None = None

    @cached_property
    def fitness(self) -> Fitness | None:
        """Return the result of the highest rung that did not fail; None before there is one."""
        known = [result for result in self.results if result is not None]
        return max(known, key=lambda result: result.rank, default=None)

    @property
    def under_way(self) -> bool:
        """Say whether it is being trained."""
        return self.results[-1] is None

    def at(self, rung: int) -> Fitness | None:
        """Return what came of a rung, None before it ended."""
        return self.results[rung - 1] if rung <= len(self.results) else None

    def with_result(self, rung: int, fitness: Fitness) -> "Member":
        """Return the member that knows what came of a rung it was given."""
        results = (*self.results[: rung - 1], fitness, *self.results[rung:])
        return replace(self, results=results)


def evaluated(members: Sequence[Member]) -> list[Member]:
    """Return the members that were trained without failing, oldest first."""
    return [member for member in members if is_evaluated(member)]


def is_evaluated(member: Member) -> bool:
    """Say whether a member was trained without failing."""
    return member.fitness is not None and not member.fitness.failed


def tournament(rng: Generator, members: Sequence[Member], size: int) -> Member:
    """Return the best of `size` members that are drawn at random (of all, if there are fewer)."""
    drawn = rng.choice(len(members), min(size, len(members)), replace=False)
    return max((members[int(index)] for index in drawn), key=rank)


def ranked(members: Sequence[Member]) -> list[Member]:
    """Return the members best first; of equal ones the older first, failures last."""
    return sorted(members, key=rank, reverse=True)


def age(member: Member) -> tuple[float, ...]:
    """Return a key that puts members oldest first."""
    return (member.number,)


def standing(member: Member) -> tuple[float, ...]:
    """Return a key that puts members best first, of equal ones the older."""
    return (*(-part for part in rank(member)), member.number)


def exchanged(
    members: tuple[Member, ...],
    before: Member,
    after: Member,
    order: Callable[[Member], tuple[float, ...]],
) -> tuple[Member, ...]:
    """Return evaluated members in their order, with one as it is now instead of as it was."""
    if is_evaluated(before):
        place = bisect_left(members, order(before), key=order)
        members = members[:place] + members[place + 1 :]
    if is_evaluated(after):
        place = bisect_left(members, order(after), key=order)
        members = (*members[:place], after, *members[place:])
    return members


def rank(member: Member) -> tuple[float, float, float]:
    """Return the key that members are compared by."""
    return (member.fitness or FAILED).rank
