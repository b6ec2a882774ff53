"""Says from counted requests when a network must not go on answering, and when it has proved good.

Pure: what was counted comes in, a reason or nothing comes out.
"""

import math
from dataclasses import dataclass

from classification_service.trial_ports import LATENCY_RANGES, Traffic

_SHORTEST_S = 10e-6
_RANGES_PER_DOUBLING = 2


@dataclass(frozen=True)
class Limits:
    """What a network on trial, or one that was just promoted, may do.

    Args:
        window_s: So far back requests count.
        least_answers: Nothing is said of fewer requests.
        least_errors: Fewer than these are bad luck.
        error_share: More errors in a request are a fault,
        error_factor: if they are also so many times those of the network before.
        latency_factor: A median latency so many times that of the network before is a fault,
        latency_s: if it is also so many seconds longer.
        proof_answers: A promoted network has proved itself after so many answers,
        proof_s: and so many seconds.
        probation_s: After so many seconds it is no longer rolled back without being asked.
    """

    window_s: float = 60.0
    least_answers: int = 50
    least_errors: int = 5
    error_share: float = 0.02
    error_factor: float = 3.0
    latency_factor: float = 3.0
    latency_s: float = 0.05
    proof_answers: int = 500
    proof_s: float = 300.0
    probation_s: float = 86_400.0


class Counts:
    """Requests of one network, counted on the hot path: no lock, nothing allocated.

    Two threads that count at the same moment may lose one of the two: too few to matter.
    """

    __slots__ = ("answers", "compared", "disagreed", "errors", "latencies")

    def __init__(self) -> None:
        self.answers = 0
        self.errors = 0
        self.compared = 0
        self.disagreed = 0
        self.latencies = [0] * LATENCY_RANGES

    def add(self, seconds: float, ok: bool) -> None:
        """Count one answer."""
        self.answers += 1
        if ok:
            self.latencies[latency_range(seconds)] += 1
        else:
            self.errors += 1

    def compare(self, same: bool) -> None:
        """Count a comparison with another network's answer."""
        self.compared += 1
        if not same:
            self.disagreed += 1

    def traffic(self) -> Traffic:
        """Return what was counted."""
        return Traffic(
            self.answers, self.errors, self.compared, self.disagreed, tuple(self.latencies)
        )


def latency_range(seconds: float) -> int:
    """Return which range a latency falls into: the first ends at 10 µs, two make it double."""
    if seconds <= _SHORTEST_S:
        return 0
    place = 1 + int(_RANGES_PER_DOUBLING * math.log2(seconds / _SHORTEST_S))
    return min(place, LATENCY_RANGES - 1)


def median_s(traffic: Traffic) -> float | None:
    """Return the upper end of the range that the median latency falls into, or nothing."""
    half = (sum(traffic.latencies) + 1) // 2
    seen = 0
    for place, count in enumerate(traffic.latencies):
        seen += count
        if count and seen >= half:
            return _SHORTEST_S * float(2.0 ** (place / _RANGES_PER_DOUBLING))
    return None


def fault(new: Traffic, old: Traffic, limits: Limits) -> str | None:
    """Return in words why a network must not go on answering, or nothing.

    Args:
        new: What it did within the last `limits.window_s` seconds.
        old: What the network before it, or beside it, did in about an hour.
        limits: What is allowed.
    """
    if new.answers < limits.least_answers:
        return None
    share = new.errors / new.answers
    usual = old.errors / old.answers if old.answers else 0.0
    allowed = max(limits.error_share, limits.error_factor * usual)
    if new.errors >= limits.least_errors and share > allowed:
        return (
            f"{new.errors} of {new.answers} requests failed, "
            f"{old.errors} of {old.answers} with the network before"
        )
    latency, before = median_s(new), median_s(old)
    if latency is None or before is None or old.answers < limits.least_answers:
        return None
    if latency > limits.latency_factor * before and latency - before > limits.latency_s:
        return (
            f"the median of {new.answers} answers took about {1e3 * latency:.3g} ms, "
            f"{1e3 * before:.3g} ms with the network before"
        )
    return None


def is_proved(since_promotion: Traffic, age_s: float, limits: Limits) -> bool:
    """Say whether a promoted network has proved itself: enough answers and enough time.

    Args:
        since_promotion: What it did since; that it did it without a fault was said before.
        age_s: Seconds since its promotion.
        limits: What is enough.
    """
    if age_s >= limits.probation_s:
        return True
    return age_s >= limits.proof_s and since_promotion.answers >= limits.proof_answers
