"""Numbers as people read them; pure."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from commons.messages import Run

_KEPT = 0.05
_MINUS = "\N{MINUS SIGN}"
_LONG_S = 120.0
_HOUR_S = 3600.0
_HUNDRED = 100.0


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share, such as `98.51 %`; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float | None) -> str:
    """Return a difference of shares in percentage points with its sign, such as `+0.37`."""
    if difference is None:
        return "-"
    rounded = round(100 * difference, 2)
    return f"{'+' if rounded > 0 else _MINUS if rounded < 0 else ''}{abs(rounded):.2f}"


def direction(difference: float | None) -> str:
    """Return `up` or `down` for what `points` shows with a sign, else nothing."""
    rounded = round(100 * (difference or 0.0), 2)
    return "up" if rounded > 0 else "down" if rounded < 0 else ""


def seconds(value: float | None) -> str:
    """Return a duration, such as `3.2 s`, `12 min 5 s` or `2 h 3 min`."""
    if value is None:
        return "-"
    if value < _LONG_S:
        return f"{value:.1f} s"
    whole = round(value)
    if value < _HOUR_S:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(value: float | None) -> str:
    """Return a number with separators; a dash where there is none."""
    return "-" if value is None else f"{value:,.0f}"


def machine(facts: Mapping[str, str]) -> str:
    """Return what is known of a machine in one line; bytes become GiB."""
    said = []
    for name, value in facts.items():
        if name.endswith("_bytes") and value.isdigit():
            said.append(f"{name.removesuffix('_bytes')} {int(value) / 2**30:.1f} GiB")
        else:
            said.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(said)


def moment(unix_s: float) -> str:
    """Return a time, such as `2026-02-03 14:05 UTC`."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def standard_error(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy that was measured on so many images.

    Half an image is added on both sides, so that no error at all is not taken for certainty.
    """
    share = (accuracy * images + 0.5) / (images + 1)
    return math.sqrt(share * (1 - share) / (images + 1))


def budget(run: Run) -> str:
    """Return whether a run kept the seconds it was given, in one sentence."""
    asked, took = run.request.seconds, run.progress.seconds
    if asked is None:
        return f"no seconds were asked for; it took {seconds(took)}"
    beyond = took / asked - 1
    over = f"{abs(_HUNDRED * beyond):.1f} % {'more' if beyond > 0 else 'less'}"
    kept = "kept" if beyond <= _KEPT else "not kept"
    return f"{kept}: {seconds(took)} of {seconds(asked)}, {over}"


def asked_for(run: Run) -> str:
    """Return what ends a run, in words."""
    request = run.request
    ends = [f"{seconds(request.seconds)} of wall-clock"] if request.seconds is not None else []
    ends += [f"{request.evaluations:,} candidates"] if request.evaluations is not None else []
    ends += [f"{request.epochs_total:,} epochs"] if request.epochs_total is not None else []
    return ", ".join(ends) + (", whichever ends first" if len(ends) > 1 else "")
