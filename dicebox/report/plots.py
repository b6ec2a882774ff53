"""The pictures of a report: values in, SVG for a page out."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from commons.messages import Individual
from dicebox.report.front import Point
from dicebox.report.picture import COLOUR, MARKERS, Picture, legend, percent, picture, said
from dicebox.report.trials import (
    FINAL,
    ORIGINS,
    Record,
    Timeline,
    fitness,
    origin,
    search_results,
)

_LOW = 3.8
_HIGH = 4.6
# What the number of a dot takes, as shares of width and height.
_ROOM = (0.045, 0.055)
_FITNESS = "fitness (validation accuracy)"
_OTHERS: dict[str, Any] = {"color": COLOUR["soft"], "alpha": 0.45, "s": 16}


def anytime_curve(timeline: Timeline, found: Sequence[Record], images: int | None) -> str:
    """Return the best accuracy so far against seconds and against trainings."""
    good = [
        ((one.ended, float(count)), accuracy, one)
        for count, one in enumerate(timeline.trials, start=1)
        if (accuracy := one.accuracy) is not None
    ]
    last = (timeline.trials[-1].ended, float(len(timeline.trials)))
    with picture(_LOW, images) as drawn:
        panels = drawn.figure.subplots(1, 2, sharey=True)
        for index, (axes, name) in enumerate(
            zip(panels, ("seconds", "trainings that ended"), strict=True)
        ):
            final: dict[str, Any] = {"color": COLOUR["crossover"], "s": 34, "zorder": 3}
            for kind, style in (("a training", _OTHERS), ("final training", final)):
                points = [
                    (place[index], accuracy, said(one.number, accuracy, one.rung))
                    for place, accuracy, one in good
                    if (one.rung == FINAL) is (kind == "final training")
                ]
                drawn.dots(
                    axes, points, label=kind, marker="o" if style is _OTHERS else "D", **style
                )
            xs = [(one.seconds, float(one.trainings))[index] for one in found]
            ys = [drawn.height(one.accuracy) for one in found]
            axes.step(
                [*xs, last[index]],
                [*ys, ys[-1]],
                where="post",
                color=COLOUR["accent"],
                lw=2.2,
                label="best so far",
            )
            axes.set_xlabel(name)
            axes.set_xlim(left=0.0)
            drawn.accuracy_axis(axes, [accuracy for _, accuracy, _ in good])
        panels[0].set_ylabel("validation accuracy")
        legend(panels[0])
        best = found[-1]
        return drawn.svg(
            "anytime",
            f"Best validation accuracy so far: {percent(best.accuracy)} after {best.seconds:.0f} "
            f"seconds and {best.trainings} trainings",
        )


def population_picture(
    individuals: Sequence[Individual], timeline: Timeline, images: int | None
) -> str:
    """Return all individuals by birth and fitness, by what made them, failures at the bottom."""
    born: dict[int, float] = {}
    for trial in timeline.trials:
        born[trial.number] = min(trial.started, born.get(trial.number, trial.started))
    ended = [one for one in individuals if one.number in born]
    known = [(one, value) for one in ended if (value := fitness(one)) is not None]
    failed = [one for one in ended if fitness(one) is None]
    with picture(_HIGH, images) as drawn:
        axes = drawn.figure.subplots()
        for kind in ORIGINS:
            points = [
                (born[one.number], value, f"{said(one.number, value)}, {one.operator}")
                for one, value in known
                if origin(one.operator) == kind
            ]
            style = {"color": COLOUR[kind], "marker": MARKERS[kind], "alpha": 0.85}
            drawn.dots(axes, points, label=kind, **style)
        drawn.accuracy_axis(axes, [value for _, value in known])
        _failures(drawn, axes, [(born[one.number], one) for one in failed])
        axes.set_xlabel("born after so many seconds")
        axes.set_ylabel(_FITNESS)
        legend(axes)
        return drawn.svg(
            "population",
            f"{len(known)} individuals by the time of their birth and their fitness, and "
            f"{len(failed)} that failed",
        )


def lineage_picture(
    individuals: Mapping[int, Individual],
    ancestors: Sequence[int],
    edges: Sequence[tuple[int, int]],
    images: int | None,
) -> str:
    """Return the champion, the last of the ancestors, and the others among all individuals."""
    known = {n: value for n, one in individuals.items() if (value := fitness(one)) is not None}
    line = [number for number in ancestors if number in known]
    with picture(_HIGH, images) as drawn:
        axes = drawn.figure.subplots()
        others = [(n, value, said(n, value)) for n, value in known.items() if n not in line]
        drawn.dots(axes, others, label="the others", **_OTHERS)
        for parent, child in edges:
            if parent in known and child in known:
                ends = [drawn.height(known[parent]), drawn.height(known[child])]
                axes.plot([parent, child], ends, color=COLOUR["accent"], lw=1.6, zorder=2)
        for kind in ORIGINS:
            points = [
                (n, known[n], f"{said(n, known[n])}, {individuals[n].operator}")
                for n in line
                if origin(individuals[n].operator) == kind
            ]
            style = {"facecolors": COLOUR[kind], "edgecolors": COLOUR["ink"], "zorder": 3}
            drawn.dots(axes, points, marker=MARKERS[kind], s=64, label=kind, **style)
        drawn.accuracy_axis(axes, list(known.values()))
        _numbers(axes, [(number, drawn.height(known[number])) for number in reversed(line)])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlabel("order of birth")
        axes.set_ylabel(_FITNESS)
        legend(axes)
        names = ", ".join(f"#{number}" for number in reversed(ancestors))
        return drawn.svg("lineage", f"The champion and its ancestors, the youngest first: {names}")


def rung_picture(individuals: Sequence[Individual], images: int | None) -> str:
    """Return the accuracy of every individual at each rung, those that climbed connected."""
    climbs = [(one.number, sorted(search_results(one).items())) for one in individuals]
    points = [
        (float(rung), result.accuracy or 0.0, said(number, result.accuracy or 0.0, str(rung)))
        for number, results in climbs
        for rung, result in results
    ]
    rungs = sorted({int(rung) for rung, _, _ in points})
    with picture(_HIGH, images) as drawn:
        axes = drawn.figure.subplots()
        for _, results in climbs:
            heights = [drawn.height(result.accuracy or 0.0) for _, result in results]
            xs = [rung for rung, _ in results]
            axes.plot(xs, heights, color=COLOUR["accent"], lw=1.2, alpha=0.7)
        drawn.dots(axes, points, color=COLOUR["mutation"], alpha=0.7)
        drawn.accuracy_axis(axes, [accuracy for _, accuracy, _ in points])
        axes.set_xticks(rungs, [f"rung {rung}" for rung in rungs])
        axes.set_xlim(rungs[0] - 0.3, rungs[-1] + 0.3)
        axes.set_ylabel("validation accuracy")
        return drawn.svg(
            "rungs", f"Accuracies at {len(rungs)} rungs; lines connect those that climbed"
        )


def front_picture(
    points: Sequence[Point], champion: int | None, cost: str, key: str, images: int | None
) -> str:
    """Return accuracy against a cost; `cost` is what it is called, such as `parameters`."""
    best = [one for one in points if one.on_front]
    beaten = [one for one in points if not one.on_front]
    first = [one for one in points if one.number == champion]
    on_front: dict[str, Any] = {"color": COLOUR["accent"], "marker": "D", "s": 40, "zorder": 3}
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": COLOUR["ink"], "s": 170}
    ring |= {"linewidths": 1.6, "zorder": 4}
    with picture(_HIGH, images) as drawn:
        axes = drawn.figure.subplots()
        axes.set_xscale("log")
        heights = [drawn.height(one.accuracy) for one in best]
        xs = [one.cost for one in best]
        axes.step(xs, heights, where="post", color=COLOUR["accent"], lw=1.6)
        for name, some, style in (
            ("beaten in both", beaten, _OTHERS),
            ("on the front", best, on_front),
            ("champion", first, ring),
        ):
            dots = [
                (
                    one.cost,
                    one.accuracy,
                    f"{said(one.number, one.accuracy)}, {one.cost:,.0f} {cost}",
                )
                for one in some
            ]
            drawn.dots(axes, dots, label=name, **style)
        drawn.accuracy_axis(axes, [one.accuracy for one in points])
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(cost)
        axes.set_ylabel(_FITNESS)
        legend(axes)
        return drawn.svg(
            key, f"{len(best)} of {len(points)} are beaten by nobody in both accuracy and {cost}"
        )


def _failures(drawn: Picture, axes: Axes, failed: Sequence[tuple[float, Individual]]) -> None:
    """Put crosses on the bottom line of a picture."""
    if not failed:
        return
    low, high = axes.get_ylim()
    bottom = low - 0.08 * (high - low)
    axes.set_ylim(bottom, high)
    points = [(x, bottom, f"#{one.number}: {one.outcome}") for x, one in failed]
    drawn.dots_at(axes, points, marker="x", color=COLOUR["bad"], label="failed", s=30)


def _numbers(axes: Axes, places: Sequence[tuple[int, float]]) -> None:
    """Write numbers over their dots, the first first; one that would cover another is left out."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    written: list[tuple[float, float]] = []
    for number, y in places:
        at = ((number - left) / (right - left), (y - low) / (high - low))
        if all(abs(at[0] - x) > _ROOM[0] or abs(at[1] - y) > _ROOM[1] for x, y in written):
            written.append(at)
            axes.annotate(
                f"#{number}",
                (number, y),
                xytext=(0, 8),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )


def _short(value: float) -> str:
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"
