"""Numbers as a report says them."""

import pytest

from dicebox.report.words import (
    asked_for,
    budget,
    count,
    direction,
    machine,
    percent,
    points,
    seconds,
    standard_error,
)
from tests.report_builders import facts


def test_numbers_read_as_people_write_them() -> None:
    assert percent(0.98513) == "98.51 %"
    assert percent(None) == "-"
    assert points(0.0037) == "+0.37"
    assert points(-0.0037) == "\N{MINUS SIGN}0.37"
    assert (points(-1e-9), direction(-1e-9)) == ("0.00", "")
    assert (direction(0.1), direction(-0.1), direction(None)) == ("up", "down", "")
    assert [seconds(x) for x in (3.21, 119.9, 125.0, 7500.0)] == [
        "3.2 s",
        "119.9 s",
        "2 min 5 s",
        "2 h 5 min",
    ]
    assert count(1234567) == "1,234,567"
    known = {"cpu": "a fine one", "memory_bytes": str(3 << 29), "word_size": "64"}
    assert machine(known) == "cpu a fine one, memory 1.5 GiB, word size 64"


def test_the_standard_error_is_never_nothing() -> None:
    assert standard_error(0.9, 10_000) == pytest.approx(0.003, rel=0.01)
    assert standard_error(1.0, 270) > 0.0


def test_a_budget_is_kept_within_five_percent() -> None:
    def after(took: float, **request: object) -> str:
        run = facts([]).run
        progress = run.progress.model_copy(update={"seconds": took})
        asked = run.request.model_copy(update=request)
        return budget(run.model_copy(update={"progress": progress, "request": asked}))

    assert after(62.0) == "kept: 62.0 s of 60.0 s, 3.3 % more"
    assert after(66.0) == "not kept: 66.0 s of 60.0 s, 10.0 % more"
    assert after(10.0).startswith("kept")
    assert after(10.0, seconds=None) == "no seconds were asked for; it took 10.0 s"


def test_what_ends_a_run_is_said_in_words() -> None:
    run = facts([]).run
    assert asked_for(run) == "60.0 s of wall-clock"
    both = run.request.model_copy(update={"evaluations": 1200, "epochs_total": 7})
    assert asked_for(run.model_copy(update={"request": both})) == (
        "60.0 s of wall-clock, 1,200 candidates, 7 epochs, whichever ends first"
    )
