"""What a service does under too much load, while its champion is swapped, and when it is ended."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.cells import Cell, Measured, measure_cells
from benchmarks.frame import Options
from benchmarks.serving_network import DATASET, files_of, heavy, inference_s, tasks
from benchmarks.serving_servers import Served, our_service
from benchmarks.serving_wrk import closed_loop
from commons.adapters.services import CLASSIFICATION
from load_generator.adapters.sender import Sender
from load_generator.outcomes import Fate, Outcomes
from load_generator.report import report_of
from load_generator.schedule import Step, due_times
from load_generator.target import target_of

_NORMAL, _SWAPPED, _STOPPED = 0.7, 0.7, 0.5  # of the peak
_OVERLOAD = 3.0
_BIN_S = 0.2
_SWAP_EVERY_S = 2.0
_SWAP_ROUNDS = 5
_GOOD_SHARE = 0.99
_SLOWER, _SLACK_S = 2.0, 0.02
_END_S = 60.0
_MOST_CONNECTIONS = 4096
PARTS = ("overload", "swap", "stop")


def measure_faults(options: Options, parts: Sequence[str], folder: Path) -> dict[str, Measured]:
    """Return the parts that were asked for, by their names."""
    measures = {"overload": _overload, "swap": _swap, "stop": _stop}
    cells = {
        part: Cell(f"serving-{part}", "ours", "png" if part == "overload" else "jpeg", 0)
        for part in parts
    }
    of_cell = {cell.benchmark: measures[part] for part, cell in cells.items()}
    found = measure_cells(
        cells.values(), lambda cell: of_cell[cell.benchmark](options), options, folder
    )
    return dict(zip(cells, found, strict=True))


def _overload(options: Options) -> dict[str, Any]:
    task = heavy()
    files = files_of(task, options.work)
    normal_s, overload_s = (2.0, 3.0) if options.quick else (5.0, 10.0)
    with our_service(task, files, options.work) as served:
        peak = _peak(served, 8, 2.0 if options.quick else 6.0)
        steps = [
            Step(_NORMAL * peak, normal_s),
            Step(_OVERLOAD * peak, overload_s),
            Step(_NORMAL * peak, normal_s),
        ]
        outcomes = _run(served, steps)
    return {
        "inference_ms": 1000 * inference_s(task, files),
        "peak": peak,
        **overload_figures(outcomes, steps, peak),
    }


def overload_figures(outcomes: Outcomes, steps: Sequence[Step], peak: float) -> dict[str, Any]:
    """Return how a service fared before, in and after a time of too much load.

    Args:
        outcomes: All three.
        steps: Before, in and after.
        peak: What it answers a second at most.
    """
    begin = steps[0].seconds
    end = begin + steps[1].seconds
    good, latency = outcomes.is_good, outcomes.latency
    inside = good & (outcomes.ended >= begin) & (outcomes.ended < end)
    # From when they were sent: on a machine that is full the client is late as well.
    took = outcomes.ended - outcomes.taken
    refused = took[outcomes.status == httpx.codes.SERVICE_UNAVAILABLE]
    before = latency[good & (outcomes.due < begin)]
    usual_s = float(np.percentile(before, 99)) if before.size else np.inf
    limit_s = _SLOWER * usual_s + _SLACK_S
    back_s = 0.0
    at = end
    while at < end + steps[2].seconds:
        those = (outcomes.due >= at) & (outcomes.due < at + _BIN_S)
        at += _BIN_S
        fine = good[those] & (latency[those] <= limit_s)
        if fine.size and fine.mean() < _GOOD_SHARE:
            back_s = at - end
    return {
        "goodput": float(np.count_nonzero(inside)) / steps[1].seconds,
        "goodput_of_peak": float(np.count_nonzero(inside)) / steps[1].seconds / peak,
        "refusals": len(refused),
        "refusal_p99_ms": 1000 * float(np.percentile(refused, 99)) if refused.size else None,
        "usual_p99_ms": 1000 * usual_s,
        "back_to_normal_s": back_s,
        **_failures(outcomes),
        "other_answers": int(
            np.count_nonzero(
                outcomes.is_answered & ~good & (outcomes.status != httpx.codes.SERVICE_UNAVAILABLE)
            )
        ),
        "reasons": report_of(outcomes, sum(step.seconds for step in steps)).reasons,
    }


def _swap(options: Options) -> dict[str, Any]:
    task = tasks()["jpeg"]
    count = 2_000 if options.quick else 100_000
    quiet: list[Outcomes] = []
    swapped: list[Outcomes] = []
    swaps = 0
    with our_service(task, files_of(task, options.work), options.work, networks=2) as served:
        peak = _peak(served, 64, 2.0 if options.quick else 5.0)
        rate = _SWAPPED * peak
        _run(served, [Step(rate, 2.0)])
        # In turn, for the machine's speed comes and goes.
        for _ in range(_SWAP_ROUNDS):
            quiet.append(_run(served, [Step(rate, count / rate / _SWAP_ROUNDS / 2)]))
            with _swapping(served) as times:
                # A few more than the count, for Poisson may draw fewer.
                swapped.append(_run(served, [Step(rate, 1.02 * count / rate / _SWAP_ROUNDS)]))
            swaps += len(times)
    return {"peak": peak, "rate": rate, "swaps": swaps, **swap_figures(quiet, swapped)}


def swap_figures(quiet: Sequence[Outcomes], swapped: Sequence[Outcomes]) -> dict[str, Any]:
    """Return how requests fared beside swaps, and between them."""
    during = np.concatenate([each.latency[each.is_good] for each in swapped])
    before = np.concatenate([each.latency[each.is_good] for each in quiet])
    return {
        "requests": sum(each.is_good.size for each in swapped),
        "errors": sum(int(np.count_nonzero(~each.is_good)) for each in (*quiet, *swapped)),
        "p99_ms_before": 1000 * float(np.percentile(before, 99)),
        "p99_ms": 1000 * float(np.percentile(during, 99)),
        "max_ms": 1000 * float(during.max()),
        "reasons": [
            reason
            for each in (*quiet, *swapped)
            for reason in report_of(each, float(each.due.max())).reasons
        ],
    }


@contextmanager
def _swapping(served: Served) -> Iterator[list[float]]:
    """Promote the networks in turn for as long as the block lasts; give the times of that."""
    ended = threading.Event()
    swaps: list[float] = []
    address = served.url.partition(CLASSIFICATION)[0]

    def swap() -> None:
        with httpx.Client(base_url=address, headers=dict(served.headers), timeout=30.0) as http:
            while not ended.wait(_SWAP_EVERY_S):
                network = served.networks[(len(swaps) + 1) % len(served.networks)]
                path = f"{CLASSIFICATION}/champions/{DATASET}"
                http.put(
                    path,
                    json={"network": network},
                    headers={"Content-Type": "application/json"},
                ).raise_for_status()
                swaps.append(time.monotonic())

    thread = threading.Thread(target=swap, name="swapping")
    thread.start()
    try:
        yield swaps
    finally:
        ended.set()
        thread.join()


def _stop(options: Options) -> dict[str, Any]:
    task = tasks()["jpeg"]
    seconds = 3.0 if options.quick else 8.0
    with our_service(task, files_of(task, options.work), options.work) as served:
        rate = _STOPPED * _peak(served, 8, 2.0 if options.quick else 5.0)
        process = psutil.Process(served.pid)
        signalled: list[float] = []

        def end() -> None:
            signalled.append(time.perf_counter())
            process.send_signal(signal.SIGTERM)

        timer = threading.Timer(seconds / 2, end)
        begun = time.perf_counter()
        timer.start()
        outcomes = _run(served, [Step(rate, seconds)])
        timer.join()
        process.wait(_END_S)
        lasted = time.perf_counter() - signalled[0]
    return {"rate": rate, "end_s": lasted, **stop_figures(outcomes, signalled[0] - begun)}


def stop_figures(outcomes: Outcomes, signalled_s: float) -> dict[str, Any]:
    """Return what became of requests around a SIGTERM.

    A request is failed unless it was answered well, or found nobody who listens any more.

    Args:
        outcomes: All of them.
        signalled_s: When the signal came, at the earliest, in their seconds.
    """
    refused = outcomes.status == Fate.REFUSED
    gone = refused & (outcomes.due >= signalled_s)
    failed = ~outcomes.is_good & ~gone
    return {
        "answered": int(np.count_nonzero(outcomes.is_good)),
        "failed": int(np.count_nonzero(failed)),
        "refused_after": int(np.count_nonzero(gone)),
        **_failures(outcomes),
    }


def _failures(outcomes: Outcomes) -> dict[str, int]:
    return {
        "lost": outcomes.of_fate(Fate.LOST),
        "timed_out": outcomes.of_fate(Fate.TIMED_OUT),
        "unsent": outcomes.of_fate(Fate.UNSENT),
    }


def _peak(served: Served, connections: int, seconds: float) -> float:
    def run(seconds: float) -> float:
        return closed_loop(
            served.url, served.body, served.headers, connections=connections, seconds=seconds
        ).rate

    run(1.0)
    return run(seconds)


def _run(served: Served, steps: Sequence[Step]) -> Outcomes:
    target = target_of(served.url, [served.body], headers=served.headers)
    return Sender(target, connections=_MOST_CONNECTIONS).run(
        due_times(np.random.default_rng(0), steps, "poisson")
    )
