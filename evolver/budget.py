"""How the wall-clock of a run is divided, as pure arithmetic.

All times are seconds since the runner took the run.
"""

from dataclasses import dataclass
from statistics import median

from commons.messages import RunRequest

# Exporting and registering takes a few seconds on any machine; a short run gives a fifth.
_PUBLISHING_S = 4.0
_PUBLISHING_SHARE = 0.2
_FINAL_SHARE = 0.22
_CANDIDATES = 20
_CANDIDATE_S = (1.0, 120.0)
# A candidate with less than this share of its time says little about its genome.
_LEAST_SHARE = 0.4
_GRACE_SHARE = 0.25
_FINAL_GRACE_SHARE = 0.02
# Until one was measured: building and tracing a small network.
_FIRST_OVERHEAD_S = 2.0
_KEPT_OVERHEADS = 15
_CAUTION = 0.9
_START_ALLOWANCE_S = 60.0
# A full convolution on one core makes about this many multiply-adds a second, forward and back.
_MULTIPLY_ADDS_PER_S = 2e10
_LEAST_EPOCHS = 5
_PASSES = 3
_LEAST_MULTIPLY_ADDS = 4_000_000
# What no run is given more of; one that was given none ends by its evaluations or epochs.
_LONGEST_S = 30 * 86400.0


@dataclass(frozen=True)
class Plan:
    """When each phase of a run ends.

    Args:
        search_end: No candidate of the search goes on beyond this (but for `grace_s`).
        final_end: The same for final trainings.
        end: When the run should be done.
        candidate_s: Training time of one candidate of the search.
        final_s: Length of the final phase.
        grace_s: How long after the end of a phase a training may still finish, before it is
            killed; a killed worker costs its successor the start of TensorFlow.
    """

    search_end: float
    final_end: float
    end: float
    candidate_s: float
    final_s: float
    grace_s: float

    @property
    def final_grace_s(self) -> float:
        """Return the same for the end of the final phase, which publishing waits for."""
        return min(self.grace_s, _FINAL_GRACE_SHARE * self.end)

    def ended_early(self, now: float) -> "Plan":
        """Return the plan of a run whose search is already over."""
        final_end = min(self.final_end, now + self.final_s)
        return Plan(
            min(self.search_end, now),
            final_end,
            final_end + (self.end - self.final_end),
            self.candidate_s,
            self.final_s,
            self.grace_s,
        )

    def candidate(self, now: float, overhead_s: float) -> float | None:
        """Return the training seconds of a candidate that starts now, None if it is too late."""
        return _slice(self.search_end - now - overhead_s, self.candidate_s, self.candidate_s)

    def finalist(self, now: float, overhead_s: float) -> float | None:
        """Return the training seconds of a finalist that starts now, None if it is too late."""
        left = self.final_end - now - overhead_s
        return _slice(left, left, max(self.final_s - overhead_s, 0.5))

    def timeout_s(self, now: float, training_s: float) -> float:
        """Return after how many seconds a training hangs: well above what it should take."""
        generous = 2.0 * training_s + _START_ALLOWANCE_S
        return max(min(generous, self.end - now + self.grace_s), training_s + 1.0)


def plan_of(request: RunRequest) -> Plan:
    """Return the plan for the seconds that were asked for."""
    end = _wall_clock(request)
    publishing_s = min(_PUBLISHING_S, _PUBLISHING_SHARE * end)
    final_s = _FINAL_SHARE * end
    final_end = end - publishing_s
    return Plan(
        search_end=final_end - final_s,
        final_end=final_end,
        end=end,
        candidate_s=candidate_seconds(request),
        final_s=final_s,
        grace_s=_GRACE_SHARE * min(final_s, 20.0),
    )


def candidate_seconds(request: RunRequest) -> float:
    """Return the training time of one candidate: what was asked for, or a twentieth of all."""
    if request.candidate_seconds is not None:
        return request.candidate_seconds
    low, high = _CANDIDATE_S
    return min(max(_wall_clock(request) / _CANDIDATES, low), high)


def seconds_left(request: RunRequest, now: float) -> float | None:
    """Return how many of its seconds a run has left, or None if it was given none."""
    return None if request.seconds is None else max(0.0, request.seconds - now)


def affordable_multiply_adds(train_images: int, candidate_s: float) -> int:
    """Return what one image may cost a network that is to see all images a few times.

    It is a rough guard against candidates that cannot even begin to learn in their time, never
    below what small images need.
    """
    passes = train_images * _LEAST_EPOCHS * _PASSES
    return max(int(_MULTIPLY_ADDS_PER_S * candidate_s / passes), _LEAST_MULTIPLY_ADDS)


def expected_overhead(overheads: list[float]) -> float:
    """Return what a candidate costs besides its training: the median of the latest ones."""
    return median(overheads[-_KEPT_OVERHEADS:]) if overheads else _FIRST_OVERHEAD_S


def cautious_overhead(overheads: list[float]) -> float:
    """Return what few of the latest candidates passed: a final training has no second chance."""
    latest = sorted(overheads[-_KEPT_OVERHEADS:])
    return latest[int(_CAUTION * (len(latest) - 1))] if latest else _FIRST_OVERHEAD_S


def _wall_clock(request: RunRequest) -> float:
    return _LONGEST_S if request.seconds is None else request.seconds


def _slice(left: float, wanted: float, full: float) -> float | None:
    return min(left, wanted) if left > 0 and left >= _LEAST_SHARE * full else None
