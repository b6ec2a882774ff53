"""The pure half of the load generator: when requests are due, and what a run says."""

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from commons.errors import InvalidInputError
from load_generator.measuring import spread
from load_generator.outcomes import Fate, Outcomes
from load_generator.report import as_text, report_of
from load_generator.schedule import Step, due_times
from load_generator.target import target_of
from load_generator.verdict import Limits


def outcomes(
    due: list[float],
    latency: float = 0.001,
    status: int = 200,
    lag: float = 0.0,
    changes: dict[int, tuple[int, float]] | None = None,
) -> Outcomes:
    """Return a run of equal answers but for `changes`: number to status and latency."""
    times = np.array(due)
    taken, ended = times + lag, times + latency
    statuses = np.full(len(due), status, np.int16)
    for number, (other, after) in (changes or {}).items():
        statuses[number] = other
        ended[number] = times[number] + after
        if other == Fate.UNSENT:
            taken[number] = ended[number] = np.nan
    return Outcomes(times, taken, ended, statuses)


def every(step_s: float, count: int) -> list[float]:
    return [step_s * number for number in range(count)]


# When requests are due


def test_constant_arrivals_are_equally_far_apart() -> None:
    due = due_times(np.random.default_rng(0), [Step(10.0, 1.0)], "constant")
    assert due == pytest.approx(np.arange(10) / 10)


def test_poisson_arrivals_come_in_order_and_as_often_as_asked_and_as_unevenly() -> None:
    due = due_times(np.random.default_rng(1), [Step(1000.0, 20.0)], "poisson")
    gaps = np.diff(due)
    assert np.all(gaps >= 0.0)
    assert due[0] >= 0.0
    assert due[-1] < 20.0
    assert len(due) == pytest.approx(20_000, rel=0.03)
    # Exponential distances are as wide as they are long.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_the_same_seed_draws_the_same_arrivals_and_another_others() -> None:
    draws = [
        due_times(np.random.default_rng(seed), [Step(50.0, 2.0)], "poisson").tolist()
        for seed in (7, 7, 8)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_steps_follow_one_another() -> None:
    steps = [Step(10.0, 1.0), Step(100.0, 0.5), Step(10.0, 1.0)]
    due = due_times(np.random.default_rng(0), steps, "constant")
    assert [int(np.sum((due >= a) & (due < b))) for a, b in ((0, 1), (1, 1.5), (1.5, 2.5))] == [
        10,
        50,
        10,
    ]


# Distributions


def test_percentiles_are_milliseconds_and_the_histogram_is_one_of_hdr() -> None:
    found = spread(np.arange(1, 1001) / 1000)
    assert (found.count, found.max) == (1000, pytest.approx(1000, rel=1e-3))
    assert (found.p50, found.p99) == (pytest.approx(500, rel=1e-2), pytest.approx(990, rel=1e-2))
    decoded = HdrHistogram.decode(found.hdr)
    assert decoded.get_total_count() == 1000
    assert decoded.get_max_value() == pytest.approx(1_000_000, rel=1e-3)


def test_what_never_came_is_later_than_everything_that_did() -> None:
    found = spread(np.array([0.001] * 97 + [np.inf] * 3))
    assert (found.count, found.p90) == (100, pytest.approx(1, rel=1e-2))
    assert (found.p99, found.max) == (None, None)


def test_nothing_has_no_percentiles() -> None:
    found = spread(np.array([]))
    assert (found.count, found.p50, found.max) == (0, None, None)


# Verdict and report


def test_a_run_that_kept_its_times_is_valid() -> None:
    report = report_of(outcomes(every(0.001, 1000)), 1.0)
    assert (report.valid, report.reasons, report.notes) == (True, [], [])
    assert (report.planned, report.sent, report.late) == (1000, 1000, 0)
    assert report.statuses == {"200": 1000}
    assert report.goodput == pytest.approx(1000)
    assert report.latency_ms.p99 == pytest.approx(1, rel=1e-2)


def test_a_request_that_was_never_sent_makes_a_run_invalid() -> None:
    report = report_of(outcomes(every(0.001, 1000), changes={9: (Fate.UNSENT, 0.0)}), 1.0)
    assert not report.valid
    assert "1 of 1,000 requests were never sent" in report.reasons[0]
    assert report.sent == 999
    assert report.lag_ms.max is None


@pytest.mark.parametrize(("late", "valid"), [(10, True), (11, False)])
def test_too_many_requests_sent_late_make_a_run_invalid(late: int, valid: bool) -> None:
    run = outcomes(every(0.001, 1000))
    run.taken[:late] += 0.006
    report = report_of(run, 1.0, limits=Limits(late_s=0.005, late_share=0.01))
    assert (report.valid, report.late) == (valid, late)
    assert valid or "sent more than 5 ms late" in report.reasons[0]


def test_a_run_without_requests_is_invalid() -> None:
    assert report_of(outcomes([]), 1.0).reasons == [
        "no request was due: the rate is too low for the time"
    ]


def test_latency_counts_from_the_due_time_however_late_it_was_sent() -> None:
    run = outcomes(every(0.01, 100), latency=0.5, lag=0.499)
    assert report_of(run, 1.0).latency_ms.p50 == pytest.approx(500, rel=1e-2)


def test_failures_count_as_requests_that_took_for_ever() -> None:
    changes = {
        0: (int(Fate.REFUSED), 0.0),
        1: (int(Fate.LOST), 0.1),
        2: (int(Fate.TIMED_OUT), 10.0),
        3: (503, 0.0001),
    }
    report = report_of(outcomes(every(0.01, 100), changes=changes), 1.0)
    assert report.valid
    assert (report.refused, report.lost, report.timed_out) == (1, 1, 1)
    assert report.statuses == {"200": 96, "503": 1}
    assert report.latency_ms.p90 == pytest.approx(1, rel=1e-2)
    assert report.latency_ms.p99 is None
    assert report.answer_ms["503"].max == pytest.approx(0.1, rel=1e-2)
    assert report.goodput == pytest.approx(96)


def test_an_answer_that_comes_too_late_is_no_good_one() -> None:
    run = outcomes(every(0.01, 100), changes={5: (200, 0.3), 6: (200, 0.2)})
    report = report_of(run, 1.0, within_ms=250)
    assert (report.goodput, report.statuses) == (pytest.approx(99), {"200": 100})


def test_goodput_counts_until_the_last_answer() -> None:
    run = outcomes(every(0.01, 100), changes={99: (200, 1.01)})
    assert report_of(run, 1.0).goodput == pytest.approx(50)


def test_few_answers_and_none_are_noted() -> None:
    assert "says little" in report_of(outcomes(every(0.1, 10)), 1.0).notes[0]
    none = report_of(outcomes(every(0.1, 10), status=500), 1.0)
    assert none.notes == ["not one request was answered with success"]


def test_the_text_says_what_the_report_says() -> None:
    changes = {0: (503, 0.002), 1: (int(Fate.UNSENT), 0.0)}
    text = as_text(report_of(outcomes(every(0.01, 100), changes=changes), 1.0, "constant"))
    assert text.startswith(
        "INVALID: 100 requests in 1 s, 100.0/s, constant arrivals\n  because 1 of"
    )
    assert "answers by status: 200: 98, 503: 1" in text
    assert "refused 0, lost 0, timed out 0, unsent 1" in text
    assert "p50 1 " in text
    assert "p99 never" in text
    assert as_text(report_of(outcomes(every(0.001, 1000)), 1.0)).startswith("valid: 1,000 requests")


# Who is sent what


def test_a_request_is_whole_http() -> None:
    target = target_of(
        "http://127.0.0.1:8003",
        [b"one", b"four"],
        path="/classify",
        query={"dataset": "pets"},
        headers={"Authorization": "Bearer x"},
    )
    assert (target.host, target.port, len(target.requests)) == ("127.0.0.1", 8003, 2)
    head, _, body = target.requests[1].partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    assert line == b"POST /classify?dataset=pets HTTP/1.1"
    assert set(fields) == {
        b"Host: 127.0.0.1:8003",
        b"User-Agent: dicebox-load",
        b"Content-Type: application/octet-stream",
        b"Authorization: Bearer x",
        b"Content-Length: 4",
    }
    assert body == b"four"


def test_a_url_with_a_path_keeps_it_and_a_header_that_is_given_replaces_ours() -> None:
    target = target_of(
        "http://[::1]/predict?x=1", [b"a"], path="/classify", headers={"content-type": "image/png"}
    )
    assert (target.host, target.port) == ("::1", 80)
    assert target.requests[0].startswith(b"POST /predict?x=1 HTTP/1.1\r\nHost: [::1]\r\n")
    assert target.requests[0].count(b"ontent-") == 2
    assert b"Content-Type: image/png" in target.requests[0]


@pytest.mark.parametrize("url", ["https://a.example", "localhost:80", "http://", "http://a:99999"])
def test_another_address_than_http_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="expected an address like"):
        target_of(url, [b"a"])


def test_a_header_of_two_lines_and_a_run_without_images_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="one line"):
        target_of("http://a", [b"a"], headers={"X": "1\r\nHost: b"})
    with pytest.raises(InvalidInputError, match="at least one image"):
        target_of("http://a", [])
