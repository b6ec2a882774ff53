"""The learning rate as a share of its peak, by the progress of the budget."""

import math
from typing import Literal

_WARM_UP = 0.2
_FLOOR = 0.01


def learning_rate_share(
    schedule: Literal["constant", "cosine", "one-cycle"], progress: float
) -> float:
    """Return the share (0..1) of the peak learning rate at `progress` (0..1) of the budget.

    `cosine` falls from the peak; `one-cycle` climbs for the first fifth, then falls.

    Source:
        Smith and Topin 2018, "Super-Convergence", section 3, with cosine instead of linear arms.
    """
    progress = min(max(progress, 0.0), 1.0)
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return _cosine(progress)
    if progress < _WARM_UP:
        return 0.1 + 0.9 * progress / _WARM_UP
    return _cosine((progress - _WARM_UP) / (1.0 - _WARM_UP))


def _cosine(progress: float) -> float:
    return _FLOOR + (1.0 - _FLOOR) * 0.5 * (1.0 + math.cos(math.pi * progress))
