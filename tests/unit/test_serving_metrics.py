"""Figures that are kept for a moment are the same as those written at once."""

import re

import pytest

from commons.adapters.metrics import ServingMetrics


def figures(metrics: ServingMetrics) -> dict[str, float]:
    lines = metrics.text().decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs if not re.search("_created", name)}


def fed(*, is_patient: bool) -> ServingMetrics:
    metrics = ServingMetrics("/api/x")
    metrics.is_patient = is_patient
    for size in (1, 3, 8, 8, 200):
        metrics.count_batch("a" * 8, size)
    metrics.count_batch("b" * 8, 2)
    metrics.observe_all("POST", "/x", 200, [0.00005, 0.0001, 0.00011, 0.3, 99.0])
    metrics.observe_all("POST", "/x", 200, [0.02])
    metrics.observe("POST", "/x", 503, 0.001)
    return metrics


def one_by_one() -> ServingMetrics:
    metrics = ServingMetrics("/api/x")
    for size in (1, 3, 8, 8, 200):
        metrics.count("classification", "a" * 8, size)
        metrics._batches.observe(size)
    metrics.count("classification", "b" * 8, 2)
    metrics._batches.observe(2)
    for seconds in (0.00005, 0.0001, 0.00011, 0.3, 99.0, 0.02):
        metrics.observe("POST", "/x", 200, seconds)
    metrics.observe("POST", "/x", 503, 0.001)
    return metrics


@pytest.mark.parametrize("is_patient", [False, True])
def test_what_is_counted_together_is_what_is_counted_one_by_one(is_patient):
    found, expected = figures(fed(is_patient=is_patient)), figures(one_by_one())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name


def test_what_was_written_is_not_written_again():
    metrics = fed(is_patient=True)
    assert figures(metrics) == figures(metrics)
