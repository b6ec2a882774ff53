"""How many got how far; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from commons.messages import Individual
from dicebox.report.trials import search_results


@dataclass(frozen=True)
class RungFigures:
    """A rung of the search: who finished it, who went on from it, and how good they were."""

    rung: int
    finished: int
    climbed: int
    median: float
    best: float
    seconds: float


def rung_figures(individuals: Sequence[Individual]) -> list[RungFigures]:
    """Return the figures of every rung that somebody finished, the first first."""
    results = [search_results(one) for one in individuals]
    figures: list[RungFigures] = []
    for rung in sorted({rung for each in results for rung in each}):
        here = [each for each in results if rung in each]
        accuracies = [each[rung].accuracy or 0.0 for each in here]
        figures.append(
            RungFigures(
                rung=rung,
                finished=len(here),
                climbed=sum(max(each) > rung for each in here),
                median=median(accuracies),
                best=max(accuracies),
                seconds=sum(each[rung].seconds or 0.0 for each in here),
            )
        )
    return figures
