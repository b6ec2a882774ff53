"""Whether a run says anything: a client that was late or left requests out measured itself."""

from dataclasses import dataclass

import numpy as np

from load_generator.outcomes import Fate, Outcomes

_MS = 1000.0
# Fewer answers than this bound no 99th percentile with 99 % confidence and 1 % margin.
ENOUGH_FOR_P99 = 662


@dataclass(frozen=True)
class Limits:
    """What still counts as sent in time.

    Args:
        late_s: A request that is sent later than this after its time was late.
        late_share: The largest share of late requests of a valid run.
    """

    late_s: float = 0.005
    late_share: float = 0.01


def faults(outcomes: Outcomes, limits: Limits) -> list[str]:
    """Return why a run is INVALID; empty if it is not."""
    planned = len(outcomes.due)
    if planned == 0:
        return ["no request was due: the rate is too low for the time"]
    found: list[str] = []
    unsent = outcomes.of_fate(Fate.UNSENT)
    if unsent:
        found.append(
            f"{unsent:,} of {planned:,} requests were never sent: every connection was waiting "
            "for an answer"
        )
    late = late_requests(outcomes, limits)
    if late > limits.late_share * planned:
        found.append(
            f"{late:,} of {planned:,} requests were sent more than {limits.late_s * _MS:g} ms "
            f"late, expected at most {limits.late_share:.1%}: the generator or its number of "
            "connections was the limit"
        )
    return found


def late_requests(outcomes: Outcomes, limits: Limits) -> int:
    """Return how many requests were sent, but late."""
    lag = outcomes.lag
    return int(np.count_nonzero((lag > limits.late_s) & np.isfinite(lag)))


def doubts(outcomes: Outcomes) -> list[str]:
    """Return what whoever reads a valid run should know."""
    good = int(np.count_nonzero(outcomes.is_good))
    found: list[str] = []
    if 0 < good < ENOUGH_FOR_P99:
        found.append(f"p99 of {good:,} good answers says little: {ENOUGH_FOR_P99} are needed")
    if not good:
        found.append("not one request was answered with success")
    return found
