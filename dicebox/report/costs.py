"""Where the seconds went, and what failed; pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dicebox.report.trials import FINAL, Trial

_EXAMPLES = 3


class Part(NamedTuple):
    """Some trainings by what they have in common: how many, and their seconds."""

    name: str
    trainings: int
    seconds: float


@dataclass(frozen=True)
class Costs:
    """The seconds of all workers of a run together: `available` is wall-clock times workers.

    Args:
        available: Seconds that all workers had together.
        training: Seconds inside the loops of trainings that ended well, None where the journal
            does not say.
        useful: All seconds of jobs that ended well, building and tracing included.
        lost: Seconds of jobs that failed or were cancelled.
        by_worker: The jobs of every worker.
        by_rung: The jobs of every rung.
    """

    available: float
    training: float | None
    useful: float
    lost: float
    by_worker: list[Part]
    by_rung: list[Part]

    @property
    def building(self) -> float:
        """Return the seconds of good jobs outside their loops, 0 where that is not known."""
        return 0.0 if self.training is None else max(0.0, self.useful - self.training)

    @property
    def rest(self) -> float:
        """Return the seconds in which a worker had no job: starts, waiting, the export."""
        return max(0.0, self.available - self.useful - self.lost)


class Failure(NamedTuple):
    """An outcome other than `ok`, how often, its seconds, and some reasons that were given."""

    outcome: str
    trainings: int
    seconds: float
    reasons: list[tuple[str, int]]


class Savings(NamedTuple):
    """How many trainings cost less than one from the beginning to the end would have."""

    resumed: int
    inherited: int
    stopped: int
    cached: int


def savings(trials: Sequence[Trial]) -> Savings:
    """Return how often each way to save seconds was taken."""
    of = [trial.evaluation for trial in trials]
    return Savings(
        resumed=sum(one.resumed for one in of),
        inherited=sum(one.inherited is not None for one in of),
        stopped=sum(one.stopped for one in of),
        cached=sum(one.cached for one in of),
    )


def costs(trials: Sequence[Trial], wall_s: float, workers: int) -> Costs:
    """Return where the seconds of `workers` went in a run of `wall_s` seconds."""
    good = [trial for trial in trials if trial.evaluation.outcome == "ok"]
    loops = _loop_seconds(good)
    return Costs(
        available=wall_s * max(1, workers),
        training=None if None in loops else sum(loop or 0.0 for loop in loops),
        useful=_seconds(good),
        lost=_seconds([trial for trial in trials if trial.evaluation.outcome != "ok"]),
        by_worker=_parts([(trial.evaluation.worker or "none", trial) for trial in trials]),
        by_rung=_parts([(rung_name(trial.rung), trial) for trial in trials]),
    )


def failures(trials: Sequence[Trial]) -> list[Failure]:
    """Return what did not end well by its outcome, the most frequent first."""
    groups: defaultdict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.evaluation.outcome != "ok":
            groups[trial.evaluation.outcome or "unknown"].append(trial)
    found = [
        Failure(
            outcome,
            len(group),
            _seconds(group),
            Counter(trial.evaluation.reason or "no reason given" for trial in group).most_common(
                _EXAMPLES
            ),
        )
        for outcome, group in groups.items()
    ]
    return sorted(found, key=lambda each: (-each.trainings, each.outcome))


def rung_name(rung: str) -> str:
    """Return what a rung is called."""
    return "final training" if rung == FINAL else f"rung {rung}"


def _loop_seconds(good: Sequence[Trial]) -> list[float | None]:
    """Return what each training took itself: those that went on count the rungs below as well."""
    trained = {(one.number, one.rung): one.evaluation.trained_s for one in good}
    loops: list[float | None] = []
    for one in good:
        whole = one.evaluation.trained_s
        if one.evaluation.cached:
            continue
        below = 0.0
        if one.evaluation.resumed and one.rung != FINAL:
            below = trained.get((one.number, str(int(one.rung) - 1))) or 0.0
        loops.append(None if whole is None else max(0.0, whole - below))
    return loops


def _parts(named: Sequence[tuple[str, Trial]]) -> list[Part]:
    groups: defaultdict[str, list[Trial]] = defaultdict(list)
    for name, trial in named:
        groups[name].append(trial)
    # Numbers in names count as numbers: worker-10 comes after worker-9.
    order = sorted(groups, key=lambda name: (name == rung_name(FINAL), len(name), name))
    return [Part(name, len(groups[name]), _seconds(groups[name])) for name in order]


def _seconds(trials: Sequence[Trial]) -> float:
    return sum(trial.evaluation.seconds or 0.0 for trial in trials if not trial.evaluation.cached)
