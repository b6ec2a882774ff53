"""What a few measurements say about the mean behind them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_STEPS = 20_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; the ends are None where too little is known."""

    value: float
    low: float | None
    high: float | None


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean."""
    return float(np.mean(values))


def deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample; a single value has none."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def difference(ours: Sequence[float], theirs: Sequence[float], level: float = 0.95) -> Interval:
    """Return the difference of two means with its confidence interval.

    Source:
        Welch 1947, "The generalization of Student's problem when several different population
        variances are involved", Biometrika 34.
    """
    value = mean(ours) - mean(theirs)
    spreads = deviation(ours), deviation(theirs)
    if spreads[0] is None or spreads[1] is None:
        return Interval(value, None, None)
    parts = spreads[0] ** 2 / len(ours), spreads[1] ** 2 / len(theirs)
    variance = sum(parts)
    if variance == 0:
        return Interval(value, value, value)
    freedom = variance**2 / (parts[0] ** 2 / (len(ours) - 1) + parts[1] ** 2 / (len(theirs) - 1))
    margin = student_quantile(freedom, (1 + level) / 2) * math.sqrt(variance)
    return Interval(value, value - margin, value + margin)


def student_quantile(freedom: float, share: float) -> float:
    """Return the point below which `share` (above a half) of Student's distribution lies.

    Args:
        freedom: Degrees of freedom, at least 1; Welch's are not whole.
        share: Between 0.5 and 1.
    """
    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_share(freedom, middle) < share else (low, middle)
    return (low + high) / 2


def _student_share(freedom: float, point: float) -> float:
    """Return the share below a point at or above 0, by Simpson's rule over the angle."""
    # With x = sqrt(n) tan(a) the density becomes cos(a)^(n-1), which has no long tail.
    angles = np.linspace(0.0, math.atan(point / math.sqrt(freedom)), _STEPS + 1)
    weights = np.where(np.arange(_STEPS + 1) % 2 == 1, 4.0, 2.0)
    weights[[0, -1]] = 1.0
    area = float((weights * np.cos(angles) ** (freedom - 1)).sum() * angles[-1] / _STEPS / 3)
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    return 0.5 + area * math.exp(scale) / math.sqrt(math.pi)
