"""Where the champion comes from: its ancestors, and what each step changed and gained; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commons.messages import Individual
from dicebox.report.genome_diff import Change, genome_diff
from dicebox.report.trials import gain


@dataclass(frozen=True)
class Step:
    """One birth on the way to the champion.

    `changes` and `gain` are against the first parent, which it is closest to; `gain` is a
    difference of accuracies at the highest rung that both finished, None where there is none.
    """

    individual: Individual
    changes: list[Change]
    gain: float | None


def ancestors(individuals: Mapping[int, Individual], number: int) -> list[int]:
    """Return an individual and all it descends from, oldest first."""
    found: set[int] = set()
    waiting = [number]
    while waiting:
        one = waiting.pop()
        if one in found or one not in individuals:
            continue
        found.add(one)
        waiting += individuals[one].parents
    return sorted(found)


def main_line(individuals: Mapping[int, Individual], number: int) -> list[Step]:
    """Return the births from a founder to an individual, by the first parents, founder first."""
    line: list[Step] = []
    seen: set[int] = set()
    at: int | None = number
    while at is not None and at in individuals and at not in seen:
        seen.add(at)
        one = individuals[at]
        at = one.parents[0] if one.parents else None
        line.append(_step(one, individuals.get(at) if at is not None else None))
    return line[::-1]


def edges(individuals: Mapping[int, Individual], numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return (parent, child) for all of the numbers whose parent is one of them."""
    known = set(numbers)
    return [
        (parent, child)
        for child in numbers
        for parent in individuals[child].parents
        if parent in known
    ]


def _step(child: Individual, parent: Individual | None) -> Step:
    if parent is None:
        return Step(child, [], None)
    return Step(child, genome_diff(parent.genome, child.genome), gain(child, parent))
