"""Who is better, who becomes a parent, who survives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from numpy.random import Generator

from commons.genome import Genome


class Fitness(NamedTuple):
    """What the validation split says: accuracy first, the lower loss where that is equal."""

    accuracy: float
    loss: float

    @property
    def failed(self) -> bool:
        """Say whether there is nothing to compare."""
        return math.isnan(self.accuracy)

    @property
    def rank(self) -> tuple[float, float]:
        """Return a key that grows with quality; a failure is below all, a NaN loss worst."""
        if self.failed:
            return (-math.inf, -math.inf)
        return (self.accuracy, -math.inf if math.isnan(self.loss) else -self.loss)


FAILED = Fitness(math.nan, math.nan)


@dataclass(frozen=True)
class Member:
    """A genome in the search; `number` is its age, `fitness` is None while it is trained."""

    number: int
    genome: Genome
    genome_hash: str
    fitness: Fitness | None = None


def evaluated(members: Sequence[Member]) -> list[Member]:
    """Return the members that were trained without failing, oldest first."""
    return [member for member in members if member.fitness and not member.fitness.failed]


def population(members: Sequence[Member], size: int) -> list[Member]:
    """Return the youngest `size` members that may be parents: the oldest died.

    Source: regularized evolution, Real et al. 2018 (arXiv 1802.01548), section 3.
    """
    return evaluated(members)[-size:]


def tournament(rng: Generator, members: Sequence[Member], size: int) -> Member:
    """Return the best of `size` members that are drawn at random (of all, if there are fewer)."""
    drawn = rng.choice(len(members), min(size, len(members)), replace=False)
    return max((members[int(index)] for index in drawn), key=rank)


def ranked(members: Sequence[Member]) -> list[Member]:
    """Return the members best first; of equal ones the older first, failures last."""
    return sorted(members, key=rank, reverse=True)


def rank(member: Member) -> tuple[float, float]:
    """Return the key that members are compared by."""
    return (member.fitness or FAILED).rank
