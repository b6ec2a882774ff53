"""The signals of the runner's process: none is lost, wherever it comes."""

import signal
import sys
from collections.abc import Iterator

import pytest

from evolver.process import InterruptedClock


@pytest.fixture
def clock() -> Iterator[InterruptedClock]:
    """Give a clock whose signals are those of this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    clock = InterruptedClock()
    for number in before:
        signal.signal(number, clock.interrupt)
    yield clock
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_interrupts_what_runs_and_a_second_one_does_not(
    clock: InterruptedClock, number: signal.Signals
) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_comes_in_a_finalizer_ends_the_next_sleep(
    clock: InterruptedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: lost.append(about.exc_type))

    class Ending:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    clock.sleep(0.0)
    ending = Ending()
    del ending
    assert lost == [KeyboardInterrupt]
    with pytest.raises(KeyboardInterrupt):
        clock.sleep(3600.0)
