"""Distributions in HdrHistograms: microseconds to an hour, three digits."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from hdrh.histogram import HdrHistogram

from commons.messages import Message
from load_generator.schedule import Floats

_US = 1_000_000
_MS = 1000.0
_LONGEST_US = 3600 * _US
_DIGITS = 3
PERCENTILES: Mapping[str, float] = MappingProxyType(
    {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9, "max": 100.0}
)


class Spread(Message):
    """Percentiles in milliseconds; None where that many requests never got there.

    Args:
        hdr: The whole histogram of microseconds, as HdrHistogram encodes it (V2, base64).
    """

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None
    max: float | None
    hdr: str


def spread(seconds: Floats) -> Spread:
    """Return the percentiles of some durations, the infinite ones among them."""
    histogram = HdrHistogram(1, _LONGEST_US, _DIGITS)
    never = int(np.count_nonzero(np.isinf(seconds)))
    whole = np.clip(np.rint(seconds[np.isfinite(seconds)] * _US), 1, _LONGEST_US).astype(np.int64)
    for value, count in zip(*np.unique(whole, return_counts=True), strict=True):
        histogram.record_value(int(value), int(count))
    encoded = histogram.encode().decode("ascii")
    # What never came is beyond everything that did, and still takes its place in the order.
    total = len(whole) + never
    values = {
        name: _percentile(histogram, percent, len(whole), total)
        for name, percent in PERCENTILES.items()
    }
    return Spread(count=total, hdr=encoded, **values)


def _percentile(histogram: HdrHistogram, percent: float, finite: int, total: int) -> float | None:
    rank = percent / 100 * total
    if total == 0 or rank > finite:
        return None
    return float(histogram.get_value_at_percentile(100 * rank / finite)) / _MS
