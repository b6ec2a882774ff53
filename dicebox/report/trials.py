"""The trainings of a run in the order of time, and what may be compared with what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from commons.messages import Evaluation, Individual

FINAL = "final"
Origin = Literal["seed", "random", "crossover", "mutation"]
ORIGINS: tuple[Origin, ...] = ("seed", "random", "crossover", "mutation")


@dataclass(frozen=True)
class Trial:
    """One training that ended.

    Args:
        number: Whose.
        rung: Which of its trainings.
        started: Seconds that the run had spent when it was submitted.
        ended: The same for its end.
        evaluation: All else that is known of it.
    """

    number: int
    rung: str
    started: float
    ended: float
    evaluation: Evaluation

    @property
    def accuracy(self) -> float | None:
        """Return its accuracy, None unless it ended well."""
        return self.evaluation.accuracy if self.evaluation.outcome == "ok" else None


class Timeline(NamedTuple):
    """Trials by the time they ended; not `exact` where the journal holds no times."""

    trials: list[Trial]
    exact: bool


class Record(NamedTuple):
    """A network better than all before it; `trainings` counts those that ended, it included."""

    number: int
    rung: str
    seconds: float
    trainings: int
    accuracy: float


def origin(operator: str) -> Origin:
    """Return which kind of operator made an individual."""
    match operator:
        case "seed" | "random" | "crossover":
            return operator
        case _:
            return "mutation"


def search_results(individual: Individual) -> dict[int, Evaluation]:
    """Return what selection saw of an individual, by rung from 1; failures are left out."""
    return {
        int(one.rung): one
        for one in individual.evaluations
        if one.rung != FINAL and one.outcome == "ok" and one.accuracy is not None
    }


def standing(individual: Individual) -> tuple[int, float, float] | None:
    """Return a key that grows with fitness, as selection has it; None for one without."""
    results = search_results(individual)
    if not results:
        return None
    rung = max(results)
    best = results[rung]
    return (rung, best.accuracy or 0.0, -best.loss if best.loss is not None else float("-inf"))


def fitness(individual: Individual) -> float | None:
    """Return the accuracy after the highest rung that ended well."""
    results = search_results(individual)
    return results[max(results)].accuracy if results else None


def gain(child: Individual, parent: Individual) -> float | None:
    """Return by how much the child is more accurate at the highest rung that both finished."""
    ours, theirs = search_results(child), search_results(parent)
    common = ours.keys() & theirs.keys()
    if not common:
        return None
    rung = max(common)
    return (ours[rung].accuracy or 0.0) - (theirs[rung].accuracy or 0.0)


def timeline(individuals: Sequence[Individual]) -> Timeline:
    """Return all trainings that ended, by time.

    Where the journal does not say when, they are put one after another on their workers.
    """
    ended = [
        (individual.number, one)
        for individual in individuals
        for one in individual.evaluations
        if one.state == "finished"
    ]
    if all(one.at is not None for _, one in ended):
        trials = [Trial(number, one.rung, *_span(one), one) for number, one in ended]
        return Timeline(sorted(trials, key=lambda trial: trial.ended), exact=True)
    return Timeline(sorted(_stacked(ended), key=lambda trial: trial.ended), exact=False)


def records(trials: Sequence[Trial]) -> list[Record]:
    """Return the networks that were better than all before them, in the order of time."""
    found: list[Record] = []
    for trainings, trial in enumerate(trials, start=1):
        accuracy = trial.accuracy
        if accuracy is not None and (not found or accuracy > found[-1].accuracy):
            found.append(Record(trial.number, trial.rung, trial.ended, trainings, accuracy))
    return found


def _span(one: Evaluation) -> tuple[float, float]:
    """Return from when to when a training was under way, on the clock of its run."""
    end = one.at or 0.0
    if one.started is None or one.ended is None:
        return max(0.0, end - (one.seconds or 0.0)), end
    # What lies between two runners of a run is no time of the run's.
    return max(0.0, end - max(0.0, one.ended - one.started)), end


def _stacked(ended: Sequence[tuple[int, Evaluation]]) -> list[Trial]:
    clocks: dict[str | None, float] = {}
    trials: list[Trial] = []
    for number, one in sorted(ended, key=lambda item: (item[1].rung == FINAL, item[0])):
        start = clocks.get(one.worker, 0.0)
        clocks[one.worker] = start + (one.seconds or 0.0)
        trials.append(Trial(number, one.rung, start, clocks[one.worker], one))
    return trials
