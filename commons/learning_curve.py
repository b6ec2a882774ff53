"""When a training has become hopeless: a bar that its learning curve must pass.

A curve is a list of (share of the budget that is spent, validation accuracy), shares rising.
The bar is made from the curves of trainings that ran to their end on the same budget, so it can
be sent with a job; the trainer only compares.

A training is stopped where its best accuracy so far is below both of

- the median of what the others had at that share (median stopping rule), so that nobody in the
  better half, and so nobody in the best third, is ever stopped, and
- what a training needs to end in the best third, if it gained from there on as much as nine of
  ten others gained: a late bloomer is not stopped for being late.

Before a share of 0.3 nobody is stopped: the learning rate still rises there. Stopped trainings
must not be among the curves that a bar is made of: nobody knows where they would have ended.

Source: the median stopping rule of Google Vizier, Golovin et al. 2017, section 3.2.1.
"""

from collections.abc import Sequence

import numpy as np

Curve = tuple[tuple[float, float], ...]

_LEAST_CURVES = 6
_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_BEST_SHARE = 1 / 3
_GAINS = 0.9
# Shares are quotients of times: what is a rounding error below counts as there.
_NEARLY = 1e-6


def curve_of(seconds: Sequence[float], accuracies: Sequence[float]) -> Curve:
    """Return the curve of a training that ran to its end, by the seconds at each measurement."""
    if not seconds or seconds[-1] <= 0:
        return ()
    shares = [second / seconds[-1] for second in seconds]
    return tuple(zip(shares, accuracies, strict=True))


def bar_of(finished: Sequence[Curve]) -> Curve | None:
    """Return the bar that curves on the same budget must pass, None while too few are known."""
    curves = [curve for curve in finished if curve]
    if len(curves) < _LEAST_CURVES:
        return None
    ends = np.array([curve[-1][1] for curve in curves])
    needed = float(np.quantile(ends, 1.0 - _BEST_SHARE))
    points = []
    for share in _SHARES:
        reached = np.array([best_until(curve, share) for curve in curves])
        gain = float(np.quantile(ends - reached, _GAINS))
        points.append((share, min(float(np.median(reached)), needed - gain)))
    return tuple(points)


def hopeless(curve: Curve, bar: Curve | None) -> bool:
    """Say whether a training that is at the end of `curve` should be stopped."""
    if not bar or not curve:
        return False
    share = curve[-1][0]
    passed = [height for at, height in bar if at <= share + _NEARLY]
    return bool(passed) and best_until(curve, share) < passed[-1]


def best_until(curve: Curve, share: float) -> float:
    """Return the best accuracy of a curve up to a share, 0 before its first measurement."""
    return max((accuracy for at, accuracy in curve if at <= share + _NEARLY), default=0.0)
