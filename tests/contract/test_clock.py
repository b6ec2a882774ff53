"""What every clock promises."""

import pytest

from commons.adapters.clock import SystemClock
from commons.ports import Clock
from tests.sensory_house import ManualClock


@pytest.fixture(params=[SystemClock, ManualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    return request.param()


def test_sleeping_lasts_at_least_as_long_as_asked(clock: Clock) -> None:
    before = clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01


def test_monotonic_time_never_goes_backwards(clock: Clock) -> None:
    times = [clock.monotonic() for _ in range(1000)]
    assert times == sorted(times)


def test_wall_clock_time_is_in_unix_seconds(clock: Clock) -> None:
    before = clock.now()
    clock.sleep(0.01)
    assert 0.009 <= clock.now() - before < 60.0
