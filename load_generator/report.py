"""What a run says, as text for people and as JSON for programs."""

from collections import Counter

import numpy as np

from commons.messages import Message
from load_generator.measuring import Spread, spread
from load_generator.outcomes import Fate, Outcomes
from load_generator.schedule import Arrivals
from load_generator.verdict import Limits, doubts, faults, late_requests

_WHOLE = 1000.0  # from here on digits behind the point are noise


class LoadReport(Message):
    """A run of the load generator.

    Args:
        valid: Whether the figures are those of the service; `reasons` says why not.
        notes: What to know beside that.
        arrivals: How requests came.
        seconds: How long requests were due.
        offered_rate: Requests due a second.
        goodput: Answers with 2xx a second, until the last one came, those later than
            `within_ms` after their due time left out.
        within_ms: The latest answer that is still good, if there is such a limit.
        planned: Requests that were due.
        sent: Of these, those that were sent.
        late: Of these, those that were sent too late.
        statuses: How many answers there were of each HTTP status.
        refused: No connection was to be had, nothing was sent.
        lost: Sent, and the connection ended without a whole answer.
        timed_out: No answer came in time.
        latency_ms: From the due time to the good answer, over all requests that were due: one
            that failed counts as one that took for ever.
        answer_ms: From the due time to the answer, status by status.
        lag_ms: By how much requests were sent too late.
    """

    valid: bool
    reasons: list[str]
    notes: list[str]
    arrivals: Arrivals
    seconds: float
    offered_rate: float
    goodput: float
    within_ms: float | None
    planned: int
    sent: int
    late: int
    statuses: dict[str, int]
    refused: int
    lost: int
    timed_out: int
    latency_ms: Spread
    answer_ms: dict[str, Spread]
    lag_ms: Spread


def report_of(
    outcomes: Outcomes,
    seconds: float,
    arrivals: Arrivals = "poisson",
    *,
    within_ms: float | None = None,
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
) -> LoadReport:
    """Return what a run says, and whether it may be believed."""
    planned = len(outcomes.due)
    latency, answered, good = outcomes.latency, outcomes.is_answered, outcomes.is_good
    reasons = faults(outcomes, limits)
    statuses = Counter(outcomes.status[answered].tolist())
    in_time = good if within_ms is None else good & (1000 * latency <= within_ms)
    lasted = max(seconds, float(np.max(outcomes.ended[good], initial=0.0)))
    unsent = outcomes.of_fate(Fate.UNSENT)
    return LoadReport(
        valid=not reasons,
        reasons=reasons,
        notes=doubts(outcomes),
        arrivals=arrivals,
        seconds=seconds,
        offered_rate=planned / seconds,
        goodput=float(np.count_nonzero(in_time)) / lasted,
        within_ms=within_ms,
        planned=planned,
        sent=planned - unsent,
        late=late_requests(outcomes, limits),
        statuses={str(status): statuses[status] for status in sorted(statuses)},
        refused=outcomes.of_fate(Fate.REFUSED),
        lost=outcomes.of_fate(Fate.LOST),
        timed_out=outcomes.of_fate(Fate.TIMED_OUT),
        latency_ms=spread(np.where(good, latency, np.inf)),
        answer_ms={
            str(status): spread(latency[outcomes.status == status]) for status in sorted(statuses)
        },
        lag_ms=spread(outcomes.lag),
    )


def as_text(report: LoadReport) -> str:
    """Return the report as some lines."""
    statuses = ", ".join(f"{status}: {n:,}" for status, n in report.statuses.items()) or "none"
    good_within = "" if report.within_ms is None else f" within {report.within_ms:g} ms"
    failed = {
        "refused": report.refused,
        "lost": report.lost,
        "timed out": report.timed_out,
        "unsent": report.planned - report.sent,
    }
    return "\n".join(
        [
            f"{'valid' if report.valid else 'INVALID'}: {report.planned:,} requests in "
            f"{report.seconds:g} s, {report.offered_rate:,.1f}/s, {report.arrivals} arrivals",
            *(f"  because {reason}" for reason in report.reasons),
            *(f"  note: {note}" for note in report.notes),
            f"good answers{good_within}: {report.goodput:,.1f}/s",
            f"answers by status: {statuses}",
            f"without an answer: {', '.join(f'{name} {n:,}' for name, n in failed.items())}",
            f"latency, ms:  {_percentiles(report.latency_ms)}",
            *(
                f"  of {status}:     {_percentiles(found)}"
                for status, found in report.answer_ms.items()
                if len(report.answer_ms) > 1
            ),
            f"send lag, ms: {_percentiles(report.lag_ms)}",
        ]
    )


def _percentiles(found: Spread) -> str:
    names = {"p50": "p50", "p90": "p90", "p99": "p99", "p99_9": "p99.9", "max": "max"}
    return "  ".join(f"{title} {_figure(getattr(found, name))}" for name, title in names.items())


def _figure(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "never"
    return f"{milliseconds:,.0f}" if milliseconds >= _WHOLE else f"{milliseconds:.3g}"
