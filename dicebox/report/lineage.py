"""Where the champion comes from: its ancestors, and what each step changed and gained; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commons.messages import Individual
from dicebox.report.genome_diff import Change, genome_diff
from dicebox.report.trials import gain


@dataclass(frozen=True)
class Step:
    """One birth on the way to the champion.

    `changes` and `gain` are against `parent`, of several the one with the fewest differences;
    `gain` is one of accuracies at the highest rung that both finished, None where there is none.
    """

    individual: Individual
    parent: int | None
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
    """Return the births from a founder to an individual, by the closest parents, founder first."""
    line: list[Step] = []
    seen: set[int] = set()
    at: int | None = number
    while at is not None and at in individuals and at not in seen:
        seen.add(at)
        line.append(_step(individuals, individuals[at]))
        at = line[-1].parent
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


def _step(individuals: Mapping[int, Individual], child: Individual) -> Step:
    parents = [individuals[number] for number in child.parents if number in individuals]
    if not parents:
        return Step(child, None, [], None)
    changes = [(genome_diff(parent.genome, child.genome), parent) for parent in parents]
    fewest, parent = min(changes, key=lambda pair: len(pair[0]))
    return Step(child, parent.number, fewest, gain(child, parent))
