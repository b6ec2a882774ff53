"""`python -m benchmarks.serving`: how soon a Dicebox is ready, and how fast it answers.

Alone it starts `dicebox up` several times and classifies over one idle connection. With
`--peers` the classification service is measured beside other people's servers, all with the same
network, the same image and the same decoder: closed loops with wrk, open loops with our own load
generator, then too much load, swaps of the champion and an end under load. The peers and wrk
share the machine with nobody. Every measurement is a cell: `--part`, `--image` and `--resume`
do it in pieces.
"""

import http.client
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import click
import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.cells import Measured
from benchmarks.datasets import DIGITS, freeze_dataset
from benchmarks.document import RESULTS
from benchmarks.frame import Findings, Options, benchmark
from benchmarks.installation import Running, dicebox_up, fresh_dicebox
from benchmarks.processes import Observer, holds_tensorflow, resident_bytes, tree
from benchmarks.rows import Row, at_most
from benchmarks.runs import drive_run
from benchmarks.serving_faults import PARTS as FAULTS
from benchmarks.serving_faults import measure_faults
from benchmarks.serving_network import tasks
from benchmarks.serving_race import measure_loop, measure_open, measure_rates
from benchmarks.serving_rows import fault_rows, open_rows, rate_rows, rates_grid
from benchmarks.serving_wrk import need_wrk
from commons.adapters.services import CLASSIFICATION
from commons.errors import DiceboxError
from commons.messages import RunRequest
from dicebox.client import Client
from dicebox.digits import digit_files

CELLS = RESULTS / "cells"
_RACE = ("rates", "open", *FAULTS)
_EVOLUTION_S = 20.0
_WARM_UP = 200
_QUICK = 10  # divides the counts
_FRONT = "dicebox.front_server"
_MB = 1e6


@benchmark("serving")
@click.option("--starts", default=5, show_default=True, type=click.IntRange(1))
@click.option("--requests", default=3000, show_default=True, type=click.IntRange(10))
@click.option(
    "--part",
    "parts",
    type=click.Choice(("starts", *_RACE)),
    multiple=True,
    help="Only this; may be given again [default: starts, with --peers all].",
)
@click.option(
    "--image", "images", type=click.Choice(list(tasks())), multiple=True, help="Only this one."
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=3.0, show_default=True, type=click.FloatRange(1.0))
def serving(
    options: Options,
    starts: int,
    requests: int,
    parts: tuple[str, ...],
    images: tuple[str, ...],
    rounds: int,
    seconds: float,
) -> Findings:
    """Start `dicebox up` several times, or measure the service beside its peers."""
    parts = parts or (("starts", *_RACE) if options.peers else ("starts",))
    own = _starts(options, starts, requests) if "starts" in parts else Findings([])
    if not set(parts) & set(_RACE):
        return own
    if options.quick:
        rounds, seconds = 1, 1.0
    race = _race(options, parts, images or tuple(tasks()), rounds, seconds)
    return replace(race, rows=[*own.rows, *race.rows], details={**own.details, **race.details})


def _race(
    options: Options, parts: Sequence[str], images: Sequence[str], rounds: int, seconds: float
) -> Findings:
    need_wrk()
    folder = options.work / "cells" if options.quick else CELLS
    rates: list[Measured] = []
    opens: list[Measured] = []
    loops: list[Measured] = []
    if {"rates", "open"} & set(parts):
        # Who is in the open loop, and how fast that is, comes from the closed ones.
        kept = replace(options, resume=options.resume or "rates" not in parts)
        rates = measure_rates(kept, images, rounds=rounds, seconds=seconds, folder=folder)
        loops = measure_loop(kept, images, folder)
    if "open" in parts:
        opens = measure_open(
            options, images, rates, rounds=min(3, rounds), seconds=2 * seconds, folder=folder
        )
    faults = measure_faults(options, [part for part in FAULTS if part in parts], folder)
    cells = [*rates, *loops, *opens, *faults.values()]
    return Findings(
        [*rate_rows(rates, loops), *open_rows(opens), *fault_rows(faults)],
        grids=[rates_grid(rates)] if rates else [],
        details={"cells": [cell.as_json() for cell in cells]},
    )


def _starts(options: Options, starts: int, requests: int) -> Findings:
    if options.quick:
        starts, requests = 1, max(_QUICK, requests // _QUICK)
    house = _house_with_champion(options)
    empty = [_start_empty(options) for _ in range(starts)]
    loaded = [_start(house) for _ in range(starts)]
    with dicebox_up(house) as running:
        took = round_trips(running.url, requests)
        front = front_of(running)
        figures = {
            "tensorflow_in_front": sum(holds_tensorflow(each.pid) for each in front),
            "tensorflow_in_all": sum(holds_tensorflow(each.pid) for each in tree(running.pid)),
            "front_bytes": sum(map(resident_bytes, front)),
            "all_bytes": sum(map(resident_bytes, tree(running.pid))),
        }
    details = {"starts_empty_s": empty, "starts_s": loaded, "round_trips_ms": took, **figures}
    return Findings(summary(empty, loaded, took, figures), details=details)


def summary(
    empty: Sequence[float], loaded: Sequence[float], took: Sequence[float], figures: dict[str, Any]
) -> list[Row]:
    """Return the rows."""
    return [
        Row("every service ready, empty folder, median", "s", median(empty), goal=at_most(5)),
        Row("every service ready, with a champion, median", "s", median(loaded), goal=at_most(5)),
        Row("every service ready, slowest start", "s", max(*empty, *loaded), goal=at_most(5)),
        Row(
            "processes of the front that hold TensorFlow",
            "",
            figures["tensorflow_in_front"],
            goal=at_most(0),
        ),
        Row("processes that hold TensorFlow, none training", "", figures["tensorflow_in_all"]),
        Row("memory of the front", "MB", figures["front_bytes"] / _MB),
        Row("memory of all processes", "MB", figures["all_bytes"] / _MB),
        Row("one classification, median", "ms", median(took), goal=at_most(3)),
        Row("one classification, p99", "ms", float(np.percentile(took, 99))),
    ]


def round_trips(url: str, requests: int) -> list[float]:
    """Return the milliseconds of classifications one after another over one connection."""
    images = [data for files in digit_files().values() for _, data in files]
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    path = f"{CLASSIFICATION}/classify?dataset={DIGITS}"
    took: list[float] = []
    for number in range(_WARM_UP + requests):
        data = images[number % len(images)]
        started = time.perf_counter()
        connection.request("POST", path, data, {"Content-Type": "application/octet-stream"})
        response = connection.getresponse()
        body = response.read()
        took.append(1000 * (time.perf_counter() - started))
        if response.status != http.client.OK or not json.loads(body)["answers"]:
            raise DiceboxError(f"expected an answer, got {response.status}: {body[:200]!r}")
    connection.close()
    return took[_WARM_UP:]


def front_of(running: Running) -> list[psutil.Process]:
    """Return the processes of the front: granian's own and its workers."""
    found = [each for each in tree(running.pid) if _FRONT in " ".join(each.cmdline())]
    if not found:
        raise DiceboxError("no process of the front was found")
    return tree(found[0].pid)


def _start(folder: Path) -> float:
    with dicebox_up(folder) as running:
        return running.start_s


def _start_empty(options: Options) -> float:
    with fresh_dicebox(options.work / "houses") as (running, _):
        return running.start_s


def _house_with_champion(options: Options) -> Path:
    """Return a data folder with a champion for digits, bred once and kept in the work folder."""
    folder = options.work / "serving"
    with dicebox_up(folder) as running, Client(running.url) as client:
        if not any(found["champion"] for found in client.gallery.networks(DIGITS)):
            options.say(f"breeding a network for digits, {_EVOLUTION_S:.0f} s")
            snapshot = freeze_dataset(client, DIGITS, options.datasets, options.work)
            _breed(client, running, snapshot.id, lambda _: None)
    return folder


def _breed(client: Client, running: Running, snapshot: str, watch: Callable[[Any], None]) -> None:
    request = RunRequest(dataset=DIGITS, snapshot=snapshot, seconds=_EVOLUTION_S)
    with Observer(running.pid) as seen:
        run = drive_run(client, request, seen, watch)
    if run.state != "complete":
        raise DiceboxError(f"the run {run.id} ended as {run.state}: {run.reason}")


if __name__ == "__main__":
    serving()
