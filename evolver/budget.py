"""How the wall-clock, or the epochs, of a run are divided, as pure arithmetic.

All times are seconds that the run has spent, those of earlier runners included. A run without
seconds has infinitely many; then epochs say what a training costs.
"""

import math
from dataclasses import dataclass, replace
from statistics import median

from commons.messages import RunRequest
from commons.training import Budget
from evolver.rungs import ETA

# Exporting and registering takes a few seconds on any machine; a short run gives a fifth. After
# the search it is known better: 0.65 s where a candidate cost 0.6 s besides its training, 1.4 s
# where it cost 1.5 s, on a machine that had other work.
_PUBLISHING_S = 4.0
_PUBLISHING_SHARE = 0.2
_PUBLISHING_TIMES = 1.5
_LEAST_PUBLISHING_S = 0.5
# Of the time that is left when the workers have started: in a short run that is most of it.
_FINAL_SHARE = 0.35
_LEAST_LEFT = 0.6
# A final training may see the data many more times; its seconds end it first: where its epochs
# did (1,080 of small data in ten minutes), the run ended early.
_FINAL_EPOCHS = 1000
# The most epochs of a candidate, where seconds end it first and where none do.
_EPOCHS = {False: 40, True: 5}
# Where no seconds are given the winner gets so many times the epochs of the highest rung.
_FINAL_TIMES = 2
# Into how many candidates' times a run is divided: with rungs the first one is a short trial.
_CANDIDATES = {False: 20, True: 40}
_CANDIDATE_S = (1.0, 120.0)
_MOST_RUNGS = 3
# The highest rung takes no more than this share of the search.
_HIGHEST_SHARE = 0.4
# From this length of the final phase on, the winner alone is trained, with all cores: that
# needs a worker of its own, which takes a few seconds to start.
_ALONE_FROM_S = 60.0
# Of a fleet of workers so many get the last part of a budget, which they train beside each other.
# More would have it from ranks that hardly ever win.
_FLEET_FINALISTS = 8
# A candidate with less than this share of its time says little about its genome.
_LEAST_SHARE = 0.4
_GRACE_SHARE = 0.25
_LONGEST_GRACE_S = 5.0
_FINAL_GRACE_SHARE = 0.02
# Until one was measured: building and tracing a small network.
_FIRST_OVERHEAD_S = 2.0
_FIRST_START_S = 10.0
_KEPT_OVERHEADS = 15
_CAUTION = 0.9
_START_ALLOWANCE_S = 60.0
# Where no seconds say what a training may take, it hangs after a day.
_LONGEST_TRAINING_S = 86400.0
# A worker trains about this many multiply-adds of a network, times images, in a second. Measured:
# six epochs of 50,000 images and 34 million multiply-adds in 104 s of two cores.
_MULTIPLY_ADDS_PER_S = 5e10
# A network learns little from fewer epochs, or where images are few, from fewer images in all.
_LEAST_EPOCHS = 3
_LEAST_IMAGES = 50_000
_LEAST_MULTIPLY_ADDS = 4_000_000
# Of a run that ends by its evaluations or epochs: nobody waits for it for ever.
_UNHURRIED_MULTIPLY_ADDS = 60_000_000


@dataclass(frozen=True)
class Plan:
    """When each phase of a run ends, and what a training in it costs.

    Args:
        search_end: No candidate of the search goes on beyond this (but for `grace_s`).
        final_end: The same for final trainings.
        end: When the run should be done.
        candidate_s: Training time of one candidate on the first rung.
        candidate_epochs: The most epochs of it.
        rungs: How many there are; each takes three times what the one below took, that included.
        final_s: Length of the final phase.
        grace_s: How long after the end of a phase a training may still finish, before it is
            killed; a killed worker costs its successor the start of TensorFlow.
        search_epochs: The search ends when its trainings had so many epochs; None: never.
        epochs: The same of all trainings, final ones included.
        finalists: How many individuals are trained longer at the end; None: one a worker.
        alone: The one finalist is trained by one worker that has all cores.
        workers: How many train at once in the search.
        fleet: They are of other machines, and come and go.
    """

    search_end: float
    final_end: float
    end: float
    candidate_s: float
    candidate_epochs: int
    rungs: int
    final_s: float
    grace_s: float
    search_epochs: int | None = None
    epochs: int | None = None
    finalists: int | None = None
    alone: bool = False
    workers: int = 1
    fleet: bool = False

    @property
    def final_grace_s(self) -> float:
        """Return the same for the end of the final phase, which publishing waits for."""
        if math.isinf(self.end):
            return self.grace_s
        return min(self.grace_s, _FINAL_GRACE_SHARE * self.end)

    def shared_by(self, workers: int) -> "Plan":
        """Return the plan for so many workers: the only one has all cores already."""
        return replace(self, workers=workers, alone=self.alone and workers > 1)

    def on_fleet(self, workers: int) -> "Plan":
        """Return the plan for so many workers of other machines, who come and go.

        None of them ever has the cores of all, so no winner is trained alone.
        """
        finalists = None if self.epochs is None else 1
        return replace(self, workers=workers, alone=False, finalists=finalists, fleet=True)

    def finalists_of(self, workers: int) -> int:
        """Return how many individuals are trained longer at the end, by so many workers."""
        if self.finalists is not None:
            return self.finalists
        # Who is away for a moment comes back.
        return max(1, min(workers, _FLEET_FINALISTS)) if self.fleet else workers

    def ended_early(self, now: float) -> "Plan":
        """Return the plan of a run whose search is over before its time.

        The final phase keeps its length, and the run ends early.
        """
        if math.isinf(self.end):
            return replace(self, search_end=now)
        final_end = min(self.final_end, now + self.final_s)
        end = final_end + (self.end - self.final_end)
        return replace(self, search_end=min(self.search_end, now), final_end=final_end, end=end)

    def with_publishing(self, overhead_s: float) -> "Plan":
        """Return the plan that leaves for publishing what it takes, and to the winner the rest.

        Args:
            overhead_s: What a candidate costs here besides its training: it is built and stored,
                as the winner will be.
        """
        if math.isinf(self.end):
            return self
        enough = max(_PUBLISHING_TIMES * overhead_s, _LEAST_PUBLISHING_S)
        return replace(self, final_end=max(self.final_end, self.end - enough))

    def rung_s(self, rung: int) -> float:
        """Return the training time up to the end of a rung."""
        return self.candidate_s * float(ETA ** (rung - 1))

    def further(self, *, warm: bool) -> float:
        """Return how many rungs the final training is, beyond the highest one.

        Where one winner is trained alone, it has the cores of all workers.

        Args:
            warm: Whether it goes on with weights that had the highest rung already.
        """
        cores = self.workers if self.alone else 1
        infinite = math.isinf(self.end)
        times = _FINAL_TIMES if infinite else self.final_s * cores / self.rung_s(self.rungs)
        return math.log(max(times + warm, 1.0), ETA)

    def rung_epochs(self, rung: int) -> int:
        """Return the most epochs up to the end of a rung."""
        return int(self.candidate_epochs * ETA ** (rung - 1))

    def candidate(
        self, now: float, overhead_s: float, rung: int = 1, spent_s: float = 0.0
    ) -> float | None:
        """Return the training seconds of a candidate that starts now, None if it is too late.

        Those spent on the rungs below, `spent_s`, are among them.
        """
        wanted = self.rung_s(rung) - spent_s
        more = _slice(self.search_end - now - overhead_s, wanted, wanted)
        return None if more is None else spent_s + more

    def last_begin(self, overhead_s: float) -> float:
        """Return when a new candidate can begin at the latest."""
        return self.search_end - overhead_s - _LEAST_SHARE * self.candidate_s

    def finalist(self, now: float, overhead_s: float) -> float | None:
        """Return the training seconds of a finalist that starts now, None if it is too late."""
        left = self.final_end - now - overhead_s
        return _slice(left, left, max(self.final_s - overhead_s, 0.5))

    def budget(self, rung: int, seconds: float, epochs_left: float) -> Budget | None:
        """Return what a candidate may cost up to the end of a rung, None if no epoch is left."""
        epochs = min(self.rung_epochs(rung), epochs_left)
        return _budget(seconds, epochs) if epochs >= 1 else None

    def final_budget(self, seconds: float, epochs_left: float) -> Budget | None:
        """Return what a final training may cost, None if no epoch is left."""
        if math.isinf(self.end):
            epochs = min(epochs_left, _FINAL_TIMES * self.rung_epochs(self.rungs))
        else:
            most = self.candidate_epochs * max(_FINAL_EPOCHS, ETA**self.rungs)
            epochs = min(epochs_left, most)
        return _budget(seconds, epochs) if epochs >= 1 else None

    def timeout_s(self, now: float, training_s: float) -> float:
        """Return after how many seconds a training hangs: well above what it should take."""
        if math.isinf(training_s):
            return _LONGEST_TRAINING_S
        generous = 2.0 * training_s + _START_ALLOWANCE_S
        return max(min(generous, self.end - now + self.grace_s), training_s + 1.0)


def plan_of(request: RunRequest) -> Plan:
    """Return the plan for the seconds, or the epochs, that were asked for."""
    end = math.inf if request.seconds is None else request.seconds
    candidate_s = candidate_seconds(request)
    final_s = _FINAL_SHARE * max(end - _FIRST_START_S, _LEAST_LEFT * end)
    final_end = end - min(_PUBLISHING_S, _PUBLISHING_SHARE * end)
    search_end = end if math.isinf(end) else final_end - final_s
    total = request.epochs_total
    alone = _ALONE_FROM_S <= final_s < math.inf and request.workers != 1
    return Plan(
        search_end=search_end,
        final_end=final_end,
        end=end,
        candidate_s=candidate_s,
        candidate_epochs=request.candidate_epochs or _EPOCHS[math.isinf(candidate_s)],
        rungs=_rungs(request, candidate_s, search_end),
        final_s=final_s,
        grace_s=min(_GRACE_SHARE * final_s, _LONGEST_GRACE_S),
        search_epochs=None if total is None else max(1, round((1.0 - _FINAL_SHARE) * total)),
        epochs=total,
        finalists=1 if alone or total is not None else None,
        alone=alone,
    )


def candidate_seconds(request: RunRequest) -> float:
    """Return the training time of one candidate: what was asked for, or a small share of all."""
    if request.candidate_seconds is not None:
        return request.candidate_seconds
    if request.seconds is None:
        return math.inf
    low, high = _CANDIDATE_S
    return min(max(request.seconds / _CANDIDATES[_has_rungs(request)], low), high)


def seconds_left(request: RunRequest, now: float) -> float | None:
    """Return how many of its seconds a run has left, or None if it was given none."""
    return None if request.seconds is None else max(0.0, request.seconds - now)


def affordable_multiply_adds(train_images: int, final_s: float) -> int:
    """Return what one image may cost a network that is to learn in its final training.

    It is a rough guard against networks that see too little by then, never below what small
    images need. What is too slow for the first rung as well loses there by itself.
    """
    if math.isinf(final_s):
        return _UNHURRIED_MULTIPLY_ADDS
    seen = max(train_images * _LEAST_EPOCHS, _LEAST_IMAGES)
    return max(int(_MULTIPLY_ADDS_PER_S * final_s / seen), _LEAST_MULTIPLY_ADDS)


def expected_overhead(overheads: list[float]) -> float:
    """Return what a candidate costs besides its training: the median of the latest ones."""
    return median(overheads[-_KEPT_OVERHEADS:]) if overheads else _FIRST_OVERHEAD_S


def cautious_overhead(overheads: list[float]) -> float:
    """Return what few of the latest candidates passed: a final training has no second chance."""
    latest = sorted(overheads[-_KEPT_OVERHEADS:])
    return latest[int(_CAUTION * (len(latest) - 1))] if latest else _FIRST_OVERHEAD_S


def start_overhead(starts: list[float]) -> float:
    """Return what a training costs besides that also starts its worker: the worst that was seen."""
    return max(starts, default=_FIRST_START_S)


def _has_rungs(request: RunRequest) -> bool:
    # Whole generations wait for each other anyway.
    return request.fidelity.rungs and request.strategy != "generational"


def _rungs(request: RunRequest, candidate_s: float, search_s: float) -> int:
    """Return how many rungs a search of so many seconds has room for."""
    if not _has_rungs(request):
        return 1
    fitting = (
        rung
        for rung in range(_MOST_RUNGS, 1, -1)
        if candidate_s * ETA ** (rung - 1) <= _HIGHEST_SHARE * search_s
    )
    return next(fitting, 1)


def _budget(seconds: float, epochs: float) -> Budget:
    return Budget(epochs=int(epochs), seconds=None if math.isinf(seconds) else seconds)


def _slice(left: float, wanted: float, full: float) -> float | None:
    if math.isinf(left):
        return wanted
    return min(left, wanted) if left > 0 and left >= _LEAST_SHARE * full else None
