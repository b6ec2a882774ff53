"""When each request is due, drawn before the first one is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Arrivals = Literal["poisson", "constant"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """So many requests a second, for so many seconds."""

    rate: float
    seconds: float


def due_times(generator: np.random.Generator, steps: Sequence[Step], arrivals: Arrivals) -> Floats:
    """Return the seconds from the start at which requests are due, ascending.

    Args:
        generator: Where chance comes from; constant arrivals take none.
        steps: One after another.
        arrivals: `poisson` as independent clients come, `constant` at equal distances.
    """
    draw = _poisson if arrivals == "poisson" else _constant
    begin = 0.0
    parts: list[Floats] = []
    for step in steps:
        parts.append(begin + draw(generator, step))
        begin += step.seconds
    return np.concatenate(parts) if parts else np.zeros(0)


def _poisson(generator: np.random.Generator, step: Step) -> Floats:
    # Given their number, the arrivals of a Poisson process are uniform.
    count = generator.poisson(step.rate * step.seconds)
    return np.sort(generator.uniform(0.0, step.seconds, count))


def _constant(_: np.random.Generator, step: Step) -> Floats:
    return np.arange(round(step.rate * step.seconds)) / step.rate
