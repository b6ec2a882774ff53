"""The rows of the evolution benchmark: ours, the best of the others, and what is between them."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.arms import OURS, RANDOM, WALL_CLOCK_GOAL, Goals, contestants
from benchmarks.cells import Cell, Measured, version_of
from benchmarks.estimates import Interval, deviation, difference, mean
from benchmarks.frame import Grid, figure
from benchmarks.rows import Row
from commons.errors import ConflictError

_MB = 1e6
_NONE = "-"


def summary(measured: Sequence[Measured], goals: Goals | None, wanted: Sequence[Cell]) -> list[Row]:
    """Return the rows of one dataset in one budget; without peers, random search is the peer.

    Where cells that were wanted are missing, the rows say how many there are.

    Raises:
        ConflictError: The cells are not all of the same images in the same split.
    """
    check_images(measured)
    arms = list(dict.fromkeys(each.cell.arm for each in measured))
    theirs = best_of(measured, [arm for arm in arms if arm in contestants()] or [RANDOM])
    ours = _percent(measured, OURS)
    if not ours:
        return []
    peers = _percent(measured, theirs) if theirs else []
    their_mean = mean(peers) if peers else None

    def both(measure: str, unit: str, name: str, scale: float = 1.0) -> Row:
        means = [
            scale * mean(values) if (values := _all(measured, arm, name)) else None
            for arm in (OURS, theirs)
        ]
        return Row(measure, unit, means[0], means[1], theirs)

    error = None if their_mean is None else 100 - their_mean
    rows = [
        Row(
            "test accuracy, mean",
            "%",
            mean(ours),
            their_mean,
            theirs,
            goals.accuracy if goals else None,
        ),
        Row(
            "test error, mean", "%", 100 - mean(ours), error, theirs, goals.error if goals else None
        ),
        Row(
            "test accuracy, standard deviation",
            "%",
            deviation(ours),
            deviation(peers) if peers else None,
            theirs,
        ),
        both("validation accuracy, mean", "%", "validation_accuracy", 100),
        both("networks trained", "", "networks"),
        both("peak memory of all processes", "MB", "peak_bytes", 1 / _MB),
        both("wall-clock of a run", "s", "wall_seconds"),
        Row("wall-clock / budget, largest", "", _overrun(measured), goal=WALL_CLOCK_GOAL),
        Row(
            "searches that ended without a network",
            "",
            _without(measured, OURS),
            _without(measured, theirs) if theirs else None,
            theirs,
        ),
        both("failed candidates a run", "", "failed"),
        both("TensorFlow imports a run", "", "tensorflow_imports"),
        both("one classification over HTTP, median", "ms", "classification_median_ms"),
    ]
    noted = [_noted(row, measured, wanted, [OURS, *([theirs] if theirs else [])]) for row in rows]
    return noted + [
        _noted(_gain(ours, _percent(measured, arm), arm), measured, wanted, [OURS, arm])
        for arm in arms
        if arm != OURS and _percent(measured, arm)
    ]


def _noted(
    row: Row, measured: Sequence[Measured], wanted: Sequence[Cell], arms: Sequence[str]
) -> Row:
    """Return a row that says how many cells of its arms, and which peers, are missing."""
    counts = {arm: (_count(measured, arm), _wanted(wanted, arm)) for arm in arms}
    notes = [f"{arm}: n = {n} of {most}" for arm, (n, most) in counts.items() if n < most]
    if row.goal is not None and row.goal.of == "ratio":
        known = dict.fromkeys(cell.arm for cell in wanted if cell.arm in contestants())
        absent = [arm for arm in known if not _count(measured, arm)]
        notes += [f"not measured: {', '.join(absent)}"] if absent else []
    return replace(row, measure=f"{row.measure} ({'; '.join(notes)})") if notes else row


def best_of(measured: Sequence[Measured], arms: Sequence[str]) -> str | None:
    """Return the arm with the highest mean test accuracy; None if none has any."""
    means = {arm: mean(values) for arm in arms if (values := _percent(measured, arm))}
    return max(means, key=means.__getitem__, default=None)


def check_images(measured: Sequence[Measured]) -> None:
    """Make sure that all searched and answered the same images in the same split.

    Raises:
        ConflictError: They did not.
    """
    found = {each.figures["images"] for each in measured}
    if len(found) > 1:
        names = ", ".join(sorted(each[:12] for each in found))
        raise ConflictError(f"expected cells of the same images, got {names}: measure them again")


def arms_grid(measured: Sequence[Measured], wanted: Sequence[Cell]) -> Grid:
    """Return one line an arm that was wanted: mean ± standard deviation over its seeds."""
    titles = (
        "arm", "seeds", "test accuracy %", "validation %", "networks", "peak memory MB",
        "wall-clock s", "measured with",
    )  # fmt: skip
    arms = dict.fromkeys(cell.arm for cell in wanted)
    return Grid(titles, [_arm_line(measured, arm, _wanted(wanted, arm)) for arm in arms])


def cells_grid(measured: Sequence[Measured]) -> Grid:
    """Return one line a cell, for the terminal."""
    titles = ("arm", "seed", "test %", "validation %", "networks", "MB", "s", "ended")
    lines = []
    for each in measured:
        found = each.figures
        lines.append(
            (
                each.cell.arm,
                str(each.cell.seed),
                _scaled(found["test_accuracy"], 100),
                _scaled(found["validation_accuracy"], 100),
                _scaled(found["networks"], 1),
                _scaled(found.get("peak_bytes"), 1 / _MB),
                _scaled(found.get("wall_seconds"), 1),
                str(found.get("ended", "complete")),
            )
        )
    return Grid(titles, lines)


def _arm_line(measured: Sequence[Measured], arm: str, wanted: int) -> Sequence[str]:
    good = _percent(measured, arm)
    seeds = str(wanted) if len(good) == wanted else f"{len(good)} of {wanted}"
    failed = _without(measured, arm)
    return (
        arm,
        seeds + (f", {failed} failed" if failed else ""),
        _spread(good, 2),
        _spread([100 * value for value in _all(measured, arm, "validation_accuracy")], 2),
        _spread(_all(measured, arm, "networks"), 0),
        _spread([value / _MB for value in _all(measured, arm, "peak_bytes")], 0),
        _spread(_all(measured, arm, "wall_seconds"), 1),
        _measured_with(measured, arm),
    )


def _measured_with(measured: Sequence[Measured], arm: str) -> str:
    """Say which commit measured an arm of ours, or a peer's packages and script."""
    versions: dict[str, int] = {}
    for each in measured:
        if each.cell.arm == arm:
            script = each.cell.settings.get("script")
            packages = each.figures.get("requirements", [])
            theirs = ", ".join([*packages, f"script {script}"])
            version = theirs if script else version_of(each)
            versions[version] = versions.get(version, 0) + 1
    if len(versions) == 1:
        return next(iter(versions))
    return "; ".join(f"{version} ({n})" for version, n in versions.items()) or _NONE


def _spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return _NONE
    spread = deviation(values)
    about = "" if spread is None else f" ± {spread:,.{digits}f}"
    return f"{mean(values):,.{digits}f}{about}"


def _scaled(value: float | None, scale: float) -> str:
    return _NONE if value is None else figure(scale * value)


def _count(measured: Sequence[Measured], arm: str) -> int:
    return sum(1 for each in measured if each.cell.arm == arm)


def _wanted(wanted: Sequence[Cell], arm: str) -> int:
    return sum(1 for cell in wanted if cell.arm == arm)


def _without(measured: Sequence[Measured], arm: str) -> int:
    return _count(measured, arm) - len(_percent(measured, arm))


def _overrun(measured: Sequence[Measured]) -> float:
    return max(
        float(each.figures["wall_seconds"] / each.cell.settings["seconds"])
        for each in measured
        if each.cell.arm == OURS
    )


def _gain(ours: Sequence[float], theirs: Sequence[float], arm: str) -> Row:
    gain = difference(ours, theirs)
    return Row(f"test accuracy, ours - {arm} {_bounds(gain)}", "points", gain.value)


def _percent(measured: Sequence[Measured], arm: str) -> list[float]:
    return [100 * accuracy for accuracy in _all(measured, arm, "test_accuracy")]


def _all(measured: Sequence[Measured], arm: str | None, name: str) -> list[float]:
    """Return a figure of all cells of an arm that have it."""
    found = [each.figures.get(name) for each in measured if each.cell.arm == arm]
    return [float(value) for value in found if value is not None]


def _bounds(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "(one seed: no interval)"
    return f"(95 %: {interval.low:+.2f} to {interval.high:+.2f})"
