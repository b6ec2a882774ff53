"""The tables of the serving benchmark from its cells."""

import math
from collections.abc import Mapping, Sequence

from benchmarks.cells import Measured
from benchmarks.frame import Grid, figure
from benchmarks.rows import Goal, Row, at_least, at_most
from benchmarks.serving_network import tasks
from benchmarks.serving_peers import NAIVE, OURS
from benchmarks.serving_race import CONNECTIONS, best_peer, medians

_MB = 1e6
_RATIOS = {8: 2.2, 64: 1.2}
_NAIVE_RATIO = 50.0
_MOST_MB = 150.0


def rate_rows(rates: Sequence[Measured], loops: Sequence[Measured]) -> list[Row]:
    """Return requests a second against the best peer, the plain loop and the naive view."""
    rows: list[Row] = []
    for name, cells in _by_image(rates).items():
        title = tasks()[name].name
        for connections in CONNECTIONS:
            key = f"rate_{connections}"
            peer, theirs = best_peer(cells, key) or (None, None)
            goal = Goal("at least", _RATIOS[connections], of="ratio")
            measure = f"requests/s, {title}, {connections} connections"
            rows.append(Row(measure, "/s", medians(cells, key).get(OURS), theirs, peer, goal))
        ours = [medians(cells, f"rate_{connections}").get(OURS) for connections in CONNECTIONS]
        best = max((rate for rate in ours if rate is not None), default=None)
        loop = next((c.figures["rate"] for c in loops if c.cell.data == name), None)
        share = None if best is None or loop is None else 100 * best / loop
        measure = f"served rate ÷ decode and infer in a plain loop, {title}"
        rows.append(Row(measure, "%", share, goal=at_least(50)))
        slow = medians(cells, "rate_8").get(NAIVE)
        naive = Goal("at least", _NAIVE_RATIO, of="ratio")
        measure = f"requests/s beside {NAIVE}, {title}, 8 connections"
        rows.append(Row(measure, "/s", ours[0], slow, NAIVE if slow else None, naive))
    sizes = [c.figures["worker_bytes"] / _MB for c in rates if c.cell.arm == OURS]
    if sizes:
        measure = "resident memory of a worker, the largest seen"
        rows.append(Row(measure, "MB", max(sizes), goal=at_most(_MOST_MB)))
    return rows


def open_rows(cells: Sequence[Measured]) -> list[Row]:
    """Return the 99th percentiles under half of the best peer's peak rate."""
    rows: list[Row] = []
    for name, of_image in _by_image(cells).items():
        # Where more than a hundredth failed, the percentile is no time at all.
        found = medians(of_image, "p99_ms", absent=math.inf)
        ours = found.pop(OURS, None)
        finite = {arm: p99 for arm, p99 in found.items() if p99 < math.inf}
        peer, theirs = min(finite.items(), key=lambda pair: pair[1], default=(None, None))
        rate = of_image[0].figures["rate"]
        measure = f"p99 at {rate:,.0f}/s, half of the best peer's peak, {tasks()[name].name}"
        rows.append(Row(measure, "ms", ours, theirs, peer, Goal("at most", 1.0, of="ratio")))
    invalid = [c for c in cells if c.cell.arm == OURS and not c.figures["is_valid"]]
    if cells:
        rows.append(Row("INVALID runs among ours", "", len(invalid), goal=at_most(0)))
    return rows


def fault_rows(found: Mapping[str, Measured]) -> list[Row]:
    """Return what was measured of overload, swap and end."""
    rows: list[Row] = []
    if "swap" in found:
        swap = found["swap"].figures
        words = f"{swap['requests']:,} requests, {swap['swaps']} swaps at 70 % load"
        ratio = _ratio(swap["p99_ms"], swap["p99_ms_before"])
        rows += [
            Row(f"errors, {words}", "", swap["errors"], goal=at_most(0)),
            Row("p99 while the champion is swapped ÷ p99 before", "", ratio, goal=at_most(1.5)),
        ]
    if "overload" in found:
        over = found["overload"].figures
        network = f"a network of {over['inference_ms']:.1f} ms"
        share = 100 * over["goodput_of_peak"]
        rows += [
            Row(
                f"goodput at 3 times the capacity ÷ peak, {network}",
                "%",
                share,
                goal=at_least(90),
            ),
            Row(
                "p99 of the refusals (503), from when sent",
                "ms",
                over["refusal_p99_ms"],
                goal=at_most(5),
            ),
            Row("back to normal afterwards", "s", over["back_to_normal_s"], goal=at_most(2)),
            Row(
                "requests lost or timed out at 3 times the capacity",
                "",
                over["lost"] + over["timed_out"],
                goal=at_most(0),
            ),
        ]
    if "stop" in found:
        failed = found["stop"].figures["failed"]
        rows.append(Row("failed requests at SIGTERM under load", "", failed, goal=at_most(0)))
    invalid = [name for name, cell in found.items() if cell.figures.get("reasons")]
    if found:
        words = f" ({', '.join(invalid)})" if invalid else ""
        rows.append(Row(f"INVALID runs among these{words}", "", len(invalid), goal=at_most(0)))
    return rows


def rates_grid(cells: Sequence[Measured]) -> Grid:
    """Return every server in every configuration: medians, and rounds."""
    images = _by_image(cells)
    titles = ["server", *(f"{name}, {n}" for name in images for n in CONNECTIONS), "MB a worker"]
    lines: list[list[str]] = []
    for arm in dict.fromkeys(cell.cell.arm for cell in cells):
        line = [arm]
        for of_image in images.values():
            line += [figure(medians(of_image, f"rate_{n}").get(arm)) for n in CONNECTIONS]
        size = medians(cells, "worker_bytes").get(arm)
        lines.append([*line, figure(None if size is None else size / _MB)])
    return Grid(titles, lines)


def _by_image(cells: Sequence[Measured]) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for cell in cells:
        found.setdefault(cell.cell.data, []).append(cell)
    return found


def _ratio(value: float | None, of: float | None) -> float | None:
    return None if value is None or not of else value / of
