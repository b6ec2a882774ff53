"""What the operators are worth; pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from commons.messages import Individual
from dicebox.report.trials import fitness, gain


@dataclass(frozen=True)
class OperatorFigures:
    """What came of the births that an operator had part in.

    Args:
        name: The operator; a birth by several counts for each.
        births: How many.
        trained: Of those, how many ended at least one training well.
        compared: Of those, how many can be compared with their best parent.
        better: Of those, how many are more accurate than it.
        mean_gain: Mean difference of accuracies to it, None where `compared` is 0.
        best: The highest accuracy, None where `trained` is 0.
    """

    name: str
    births: int
    trained: int
    compared: int
    better: int
    mean_gain: float | None
    best: float | None


def operator_figures(individuals: Sequence[Individual]) -> list[OperatorFigures]:
    """Return the figures of every operator, the one with the most births first."""
    by_number = {one.number: one for one in individuals}
    births: defaultdict[str, list[Individual]] = defaultdict(list)
    for one in individuals:
        for name in dict.fromkeys(one.operator.split("+")):
            births[name].append(one)
    figures = [_figures(name, born, by_number) for name, born in births.items()]
    return sorted(figures, key=lambda each: (-each.births, each.name))


def _figures(
    name: str, born: Sequence[Individual], by_number: dict[int, Individual]
) -> OperatorFigures:
    accuracies = [value for one in born if (value := fitness(one)) is not None]
    gains = [value for one in born if (value := _gain(one, by_number)) is not None]
    return OperatorFigures(
        name=name,
        births=len(born),
        trained=len(accuracies),
        compared=len(gains),
        better=sum(value > 0 for value in gains),
        mean_gain=fmean(gains) if gains else None,
        best=max(accuracies, default=None),
    )


def _gain(one: Individual, by_number: dict[int, Individual]) -> float | None:
    """Return the gain over the best parent: the least of the gains."""
    parents = [by_number[number] for number in one.parents if number in by_number]
    gains = [value for parent in parents if (value := gain(one, parent)) is not None]
    return min(gains, default=None)
