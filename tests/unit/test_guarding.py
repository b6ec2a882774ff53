"""When a network must not go on answering, and when it has proved itself."""

import pytest

from classification_service.guarding import (
    Counts,
    Limits,
    fault,
    is_proved,
    latency_range,
    median_s,
)
from classification_service.trial_ports import LATENCY_RANGES, Traffic

LIMITS = Limits()


def traffic(good: int, bad: int = 0, seconds: float = 0.001) -> Traffic:
    counts = Counts()
    for _ in range(good):
        counts.add(seconds, ok=True)
    for _ in range(bad):
        counts.add(seconds, ok=False)
    return counts.traffic()


def test_counts_say_what_was_counted() -> None:
    counts = Counts()
    counts.add(0.001, ok=True)
    counts.add(0.5, ok=False)
    counts.compare(same=True)
    counts.compare(same=False)
    found = counts.traffic()
    assert (found.answers, found.errors, found.compared, found.disagreed) == (2, 1, 2, 1)
    assert sum(found.latencies) == 1


def test_traffic_adds_up() -> None:
    assert traffic(3, 1) + traffic(4) == traffic(7, 1)


@pytest.mark.parametrize("seconds", [2e-6, 1e-5, 1.1e-5, 3e-4, 0.02, 1.0, 30.0])
def test_the_median_is_known_to_half_as_much_again(seconds: float) -> None:
    found = median_s(traffic(9, seconds=seconds))
    assert found is not None
    assert max(seconds, 1e-5) <= found * 1.0001
    assert found <= max(seconds, 1e-5) * 1.4143


def test_latencies_of_any_size_fall_into_a_range() -> None:
    places = [latency_range(seconds) for seconds in (0.0, -1.0, 1e-9, 1e-3, 1e6)]
    assert places[:3] == [0, 0, 0]
    assert places[-1] == LATENCY_RANGES - 1


def test_no_good_answers_have_no_median() -> None:
    assert median_s(traffic(0, 9)) is None


def test_good_networks_go_on() -> None:
    assert fault(traffic(1000), traffic(1000), LIMITS) is None
    assert fault(traffic(0), traffic(1000), LIMITS) is None


def test_errors_are_a_fault_once_there_are_enough_requests() -> None:
    assert fault(traffic(20, 20), traffic(1000), LIMITS) is None
    reason = fault(traffic(40, 10), traffic(1000), LIMITS)
    assert reason == "10 of 50 requests failed, 0 of 1000 with the network before"


def test_a_few_errors_are_bad_luck() -> None:
    assert fault(traffic(60, 4), traffic(1000), LIMITS) is None


def test_errors_that_the_network_before_had_too_are_not_this_ones_fault() -> None:
    assert fault(traffic(80, 20), traffic(800, 200), LIMITS) is None
    assert fault(traffic(30, 70), traffic(800, 200), LIMITS) is not None


def test_a_network_that_is_much_slower_is_at_fault() -> None:
    reason = fault(traffic(60, seconds=0.2), traffic(60, seconds=0.02), LIMITS)
    assert reason is not None
    assert "median" in reason


def test_a_few_milliseconds_more_are_no_fault_however_many_times_more_they_are() -> None:
    assert fault(traffic(60, seconds=0.02), traffic(60, seconds=0.0001), LIMITS) is None


def test_without_enough_answers_to_compare_with_slowness_is_no_fault() -> None:
    assert fault(traffic(60, seconds=0.2), traffic(10, seconds=0.02), LIMITS) is None


def test_a_network_proves_itself_by_answers_and_time() -> None:
    enough, few = traffic(LIMITS.proof_answers), traffic(3)
    assert is_proved(enough, LIMITS.proof_s, LIMITS)
    assert not is_proved(few, LIMITS.proof_s, LIMITS)
    assert not is_proved(enough, LIMITS.proof_s - 1.0, LIMITS)
    assert is_proved(few, LIMITS.probation_s, LIMITS)
