"""Cells of the serving benchmark: one server, one image, one round, the same for everybody."""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.cells import Cell, Measured, measure_cells
from benchmarks.frame import Options
from benchmarks.serving_network import Task, files_of, tasks
from benchmarks.serving_peers import NAIVE, OURS, Arm, arms, requirements_of, script_of, serving
from benchmarks.serving_servers import Served
from benchmarks.serving_wrk import Closed, closed_loop
from commons.adapters.decode import decode_stored
from commons.errors import DiceboxError
from load_generator.adapters.sender import Sender
from load_generator.report import LoadReport, report_of
from load_generator.schedule import Step, due_times
from load_generator.target import target_of

CONNECTIONS = (8, 64)
_WARM_UP_S = 1.0
_TAIL = 3  # so many servers have a part in the rounds after the first: ours and the best peers
_LOOP_S = 3.0
_MOST_CONNECTIONS = 4096


def measure_rates(
    options: Options, names: Sequence[str], *, rounds: int, seconds: float, folder: Path
) -> list[Measured]:
    """Return the closed loops: every configuration once, then the best ones again and again.

    Args:
        options: With `resume`, what was measured is kept.
        names: Of images, the keys of `tasks()`.
        rounds: All of them; the first one chooses who is in the others.
        seconds: Of one run of wrk.
        folder: Where cells are kept.
    """
    found: list[Measured] = []
    everybody = arms()
    for name in names:
        first = _round(options, name, everybody.values(), 0, seconds, folder)
        chosen = [everybody[arm] for arm in contenders(first)]
        found += first
        for number in range(1, rounds):
            # In turn, so that a slow minute of the machine is everybody's.
            found += _round(options, name, chosen, number, seconds, folder)
    return found


def contenders(first: Sequence[Measured]) -> list[str]:
    """Return ours, and the best configuration of the best peers in each column."""
    best: list[str] = []
    for connections in CONNECTIONS:
        by_server: dict[str, tuple[float, str]] = {}
        for cell in first:
            rate, server = cell.figures.get(f"rate_{connections}"), cell.figures["server"]
            if rate is not None and server not in (OURS, NAIVE):
                by_server[server] = max(by_server.get(server, (0.0, "")), (rate, cell.cell.arm))
        best += [arm for _, arm in sorted(by_server.values(), reverse=True)[: _TAIL - 1]]
    return [OURS, *dict.fromkeys(best)]


def measure_open(
    options: Options,
    names: Sequence[str],
    rates: Sequence[Measured],
    *,
    rounds: int,
    seconds: float,
    folder: Path,
) -> list[Measured]:
    """Return the open loops: all contenders under half of the best peer's peak rate."""
    found: list[Measured] = []
    for name in names:
        of_image = [cell for cell in rates if cell.cell.data == name]
        half = best_peer_rate(of_image) / 2
        chosen = contenders([cell for cell in of_image if cell.cell.seed == 0])

        def measure(cell: Cell, half: float = half) -> dict[str, Any]:
            task = tasks()[cell.data]
            with serving(arms()[cell.arm], task, files_of(task, options.work), options.work) as at:
                offered(at, [Step(half / 2, _WARM_UP_S)], 100)
                report = offered(at, [Step(half, seconds)], cell.seed)
            return {
                "server": arms()[cell.arm].server,
                "rate": half,
                "p99_ms": report.latency_ms.p99,
                "is_valid": report.valid,
                "report": _short(report),
            }

        for number in range(rounds):
            # Whoever takes part again under another rate is measured again.
            cells = [
                _cell("serving-open", arms()[arm], name, number, rate=round(half, -1), s=seconds)
                for arm in chosen
            ]
            found += measure_cells(cells, measure, options, folder)
    return found


def measure_loop(options: Options, names: Sequence[str], folder: Path) -> list[Measured]:
    """Return how fast decoding and inference are in a plain loop, one thread, nothing else."""

    def measure(cell: Cell) -> dict[str, Any]:
        task = tasks()[cell.data]
        file = files_of(task, options.work) / "network.onnx"
        return {"rate": loop_rate(task, file, _LOOP_S)}

    cells = [Cell("serving-loop", "plain loop", name, 0) for name in names]
    return measure_cells(cells, measure, options, folder)


def loop_rate(task: Task, file: Path, seconds: float) -> float:
    """Return how many images a second one thread decodes and asks the network about."""
    import onnxruntime  # noqa: PLC0415 - for this alone

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options)
    name = session.get_inputs()[0].name
    done, start = 0, time.perf_counter()
    while (now := time.perf_counter()) < start + seconds:
        pixels = decode_stored(task.image, task.shape, "fit")
        row = session.run(None, {name: pixels[np.newaxis].astype(np.float32)})[0][0]
        np.argsort(-row)[:3]
        done += 1
    return done / (now - start)


def offered(served: Served, steps: Sequence[Step], seed: int) -> LoadReport:
    """Return how a server fared under an open loop, Poisson arrivals."""
    target = target_of(served.url, [served.body], headers=served.headers)
    due = due_times(np.random.default_rng(seed), steps, "poisson")
    outcomes = Sender(target, connections=_MOST_CONNECTIONS).run(due)
    return report_of(outcomes, sum(step.seconds for step in steps))


def medians(
    cells: Iterable[Measured], figure: str, absent: float | None = None
) -> dict[str, float]:
    """Return the median over the rounds by arm.

    Args:
        cells: The rounds.
        figure: Of each.
        absent: Stands for a figure that is not there; None: such a round does not count.
    """
    values: dict[str, list[float]] = {}
    for cell in cells:
        found = cell.figures.get(figure)
        found = absent if found is None else found
        if found is not None:
            values.setdefault(cell.cell.arm, []).append(found)
    return {arm: median(found) for arm, found in values.items()}


def best_peer(cells: Sequence[Measured], figure: str) -> tuple[str, float] | None:
    """Return the peer with the highest median of a figure, the naive one apart."""
    found = medians([c for c in cells if c.figures["server"] not in (OURS, NAIVE)], figure)
    return max(found.items(), key=lambda pair: pair[1], default=None)


def best_peer_rate(cells: Sequence[Measured]) -> float:
    """Return the highest rate of any peer with any number of connections.

    Raises:
        DiceboxError: No peer was measured.
    """
    best = [best_peer(cells, f"rate_{connections}") for connections in CONNECTIONS]
    rates = [found[1] for found in best if found is not None]
    if not rates:
        raise DiceboxError("no peer was measured: run with --peers")
    return max(rates)


def _round(
    options: Options,
    name: str,
    chosen: Iterable[Arm],
    number: int,
    seconds: float,
    folder: Path,
) -> list[Measured]:
    def measure(cell: Cell) -> dict[str, Any]:
        arm, task = arms()[cell.arm], tasks()[cell.data]
        with serving(arm, task, files_of(task, options.work), options.work) as served:
            return {"server": arm.server, **_closed(served, seconds), **_size(served)}

    cells = [_cell("serving", arm, name, number, s=seconds) for arm in chosen]
    return measure_cells(cells, measure, options, folder)


def _closed(served: Served, seconds: float) -> dict[str, Any]:
    """Return the figures of a server by connections, the fewest first; None where it failed."""

    def run(connections: int, seconds: float) -> Closed | None:
        try:
            return closed_loop(
                served.url, served.body, served.headers, connections=connections, seconds=seconds
            )
        except DiceboxError:  # not one good answer in that time
            return None

    figures: dict[str, Any] = {}
    run(CONNECTIONS[0], _WARM_UP_S)
    for connections in CONNECTIONS:
        found = run(connections, seconds)
        figures[f"rate_{connections}"] = found and found.rate
        figures[f"failed_{connections}"] = found and found.failed
        figures[f"p99_ms_{connections}"] = found and found.p99_ms
    return figures


def _size(served: Served) -> dict[str, Any]:
    return {"worker_bytes": served.largest_bytes()}


def _cell(benchmark: str, arm: Arm, data: str, seed: int, **more: object) -> Cell:
    settings: Mapping[str, object] = {**arm.settings, **more}
    if arm.server not in (OURS, NAIVE):
        pinned = "\n".join(requirements_of(arm)).encode() + script_of(arm).read_bytes()
        settings = {**settings, "peer": hashlib.sha256(pinned).hexdigest()[:10]}
    return Cell(benchmark, arm.name, data, seed, settings)


def _short(report: LoadReport) -> dict[str, Any]:
    """Return what a cell keeps of a report: not its histograms."""
    spreads = {"latency_ms": {"hdr"}, "lag_ms": {"hdr"}, "answer_ms": {"__all__": {"hdr"}}}
    return report.model_dump(mode="json", exclude=spreads)  # type: ignore[arg-type]
