"""The serving benchmark without a server: who takes part, and what its figures are."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from benchmarks import decoders, serving_servers
from benchmarks.cells import Cell, Measured
from benchmarks.serving_faults import overload_figures, stop_figures, swap_figures
from benchmarks.serving_network import heavy, tasks
from benchmarks.serving_peers import NAIVE, OURS, arms, requirements_of, script_of
from benchmarks.serving_race import best_peer, best_peer_rate, contenders, loop_rate, medians
from benchmarks.serving_rows import fault_rows, open_rows, rate_rows, rates_grid
from benchmarks.serving_wrk import closed_loop, need_wrk, read_figures
from commons.adapters.decode import decode_image
from commons.errors import DiceboxError, UnavailableError
from load_generator.outcomes import Fate, Outcomes
from load_generator.schedule import Step
from tests.dicebox_processes import until
from tests.onnx_builders import onnx_bytes

MOSEC, BATCHES = "Mosec, 2 workers", "Mosec, 2 workers, batches of 16 within 1 ms"
LIT, BENTO = "LitServe, 1 front, 1 worker", "BentoML, 2 workers"


def cell(arm: str, seed: int = 0, data: str = "png", **figures: Any) -> Measured:
    server = arms()[arm].server if arm in arms() else arm
    return Measured(Cell("serving", arm, data, seed), {"server": server, **figures}, {})


def rates(arm: str, eight: float, many: float, seed: int = 0) -> Measured:
    return cell(arm, seed, rate_8=eight, rate_64=many, worker_bytes=100e6)


ROUND = [
    rates(OURS, 16_000, 24_000),
    rates(MOSEC, 7_000, 7_500),
    rates(BATCHES, 2_500, 22_000),
    rates(LIT, 900, 1_000),
    rates(BENTO, 3_000, 3_100),
    rates(NAIVE, 20, 21),
]


# Who takes part


def test_every_peer_is_pinned_and_its_script_is_there() -> None:
    for arm in arms().values():
        if arm.server != OURS:
            assert script_of(arm).is_file(), arm.name
        assert all("==" in line for line in requirements_of(arm)), arm.name
        assert bool(requirements_of(arm)) == (arm.server not in (OURS, NAIVE)), arm.name


def test_all_peers_have_the_decoder_and_the_runtime_in_the_same_versions() -> None:
    shared = ("numpy==", "onnxruntime==", "pillow==", "pyspng==", "pydantic==")
    found = {
        tuple(sorted(line for line in requirements_of(arm) if line.startswith(shared)))
        for arm in arms().values()
        if arm.server not in (OURS, NAIVE)
    }
    assert len(found) == 1
    assert len(found.pop()) == len(shared)


def test_the_images_are_what_their_names_say() -> None:
    png, jpeg = tasks()["png"], tasks()["jpeg"]
    assert decode_image(png.image, (28, 28, 1), "fit").std() > 10
    assert decode_image(jpeg.image, (224, 224, 3), "fit").std() > 10
    assert (png.image[1:4], jpeg.image[:2]) == (b"PNG", b"\xff\xd8")
    assert heavy().shape == png.shape
    # Another picture would be another benchmark.
    assert tasks() == tasks()


def test_the_best_configurations_of_the_best_peers_go_on() -> None:
    assert contenders(ROUND) == [OURS, MOSEC, BENTO, BATCHES]


def test_a_peer_is_as_good_as_its_best_median() -> None:
    more = [*ROUND, rates(MOSEC, 9_000, 1, 1), rates(MOSEC, 8_000, 1, 2)]
    assert medians(more, "rate_8")[MOSEC] == 8_000
    assert best_peer(more, "rate_8") == (MOSEC, 8_000)
    assert best_peer(ROUND, "rate_64") == (BATCHES, 22_000)
    assert best_peer_rate(ROUND) == 22_000
    assert best_peer(ROUND[:1], "rate_8") is None
    with pytest.raises(DiceboxError, match="--peers"):
        best_peer_rate(ROUND[:1])


def test_a_plain_loop_decodes_and_infers(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(onnx_bytes((28, 28, 1)))
    assert loop_rate(tasks()["png"], file, 0.05) > 0


# wrk

LINE = (
    '{"requests": 1000, "seconds": 2.0, "refused": 1, "lost": 2, "bad": 100, "timeouts": 3, '
    '"p50_ms": 0.5, "p99_ms": 2.5}'
)


def test_the_figures_of_wrk_count_good_answers_alone() -> None:
    found = read_figures(f"Running 2s test\n  Requests/sec: 500\n\n{LINE}\n")
    assert (found.rate, found.failed, found.p50_ms, found.p99_ms) == (450.0, 106, 0.5, 2.5)


@pytest.mark.parametrize("output", ["", "nothing", LINE.replace('"bad": 100', '"bad": 1000')])
def test_no_good_answer_is_an_error(output: str) -> None:
    with pytest.raises(DiceboxError, match="no good answer"):
        read_figures(output)


def test_without_wrk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(UnavailableError, match="apt-get install wrk"):
        need_wrk()


def test_wrk_is_told_what_to_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "wrk"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n'
        f'for last in "$@"; do [ "$before" = -s ] && cp "$last" {tmp_path}/script; '
        f"before=$last; done\necho '{LINE}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    headers = {"Authorization": 'Bearer "x"'}
    found = closed_loop("http://127.0.0.1:1/x", b"image", headers, connections=8, seconds=3)
    assert found.rate == 450.0
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:3] == ["-t1", "-c8", "-d3s"]
    assert arguments[-1] == "http://127.0.0.1:1/x"
    script = (tmp_path / "script").read_text()
    assert 'wrk.headers["Authorization"] = "Bearer \\"x\\""' in script


# Faults


def run(
    due: list[float], latency: float = 0.01, changes: dict[int, tuple[int, float]] | None = None
) -> Outcomes:
    times = np.array(due)
    ended, status = times + latency, np.full(len(due), 200, np.int16)
    for number, (other, after) in (changes or {}).items():
        status[number], ended[number] = other, times[number] + after
    return Outcomes(times, times, ended, status)


STEPS = [Step(10, 1.0), Step(30, 1.0), Step(10, 1.0)]
DUE = (
    [n / 10 for n in range(10)] + [1 + n / 30 for n in range(30)] + [2 + n / 10 for n in range(10)]
)


def test_goodput_counts_what_is_answered_in_the_overload() -> None:
    refused = {n: (503, 0.002) for n in range(10, 40) if n % 3}
    figures = overload_figures(run(DUE, changes=refused), STEPS, peak=10.0)
    assert figures["goodput"] == pytest.approx(10)
    assert figures["goodput_of_peak"] == pytest.approx(1.0)
    assert figures["refusals"] == 20
    assert figures["refusal_p99_ms"] == pytest.approx(2.0)
    assert (figures["back_to_normal_s"], figures["other_answers"]) == (0.0, 0)
    assert figures["reasons"] == []


def test_it_is_back_to_normal_after_the_last_bad_moment() -> None:
    changes = {40: (503, 0.001), 43: (200, 0.5), 12: (500, 0.1), 13: (int(Fate.LOST), 0.1)}
    figures = overload_figures(run(DUE, changes=changes), STEPS, peak=10.0)
    assert figures["back_to_normal_s"] == pytest.approx(0.4)
    assert (figures["other_answers"], figures["lost"]) == (1, 1)


def test_only_who_found_nobody_after_the_signal_did_not_fail() -> None:
    changes = {
        3: (int(Fate.REFUSED), 0.0),
        6: (int(Fate.REFUSED), 0.0),
        7: (int(Fate.LOST), 0.0),
        8: (503, 0.0),
    }
    figures = stop_figures(run([n / 10 for n in range(10)], changes=changes), 0.5)
    assert figures["answered"] == 6
    assert figures["refused_after"] == 1
    assert figures["failed"] == 3


def test_requests_beside_swaps_are_held_against_those_between_them() -> None:
    due = [n / 100 for n in range(100)]
    quiet = [run(due, latency=0.01), run(due, latency=0.03)]
    swapped = [run(due, latency=0.02), run(due, latency=0.04, changes={5: (503, 0.001)})]
    figures = swap_figures(quiet, swapped)
    assert figures["requests"] == 200
    assert figures["errors"] == 1
    assert figures["p99_ms_before"] == pytest.approx(30.0)
    assert figures["p99_ms"] == pytest.approx(40.0)
    assert figures["reasons"] == []


# Rows


def test_rates_are_judged_against_the_best_peer_in_each_column() -> None:
    loop = [Measured(Cell("serving-loop", "plain loop", "png", 0), {"rate": 20_000.0}, {})]
    rows = {row.measure: row for row in rate_rows(ROUND, loop)}
    eight = rows["requests/s, 28x28 grey PNG, 8 connections"]
    many = rows["requests/s, 28x28 grey PNG, 64 connections"]
    assert (eight.ours, eight.best_peer, eight.peer, eight.met) == (16_000, 7_000, MOSEC, True)
    assert (many.ours, many.best_peer, many.peer, many.met) == (24_000, 22_000, BATCHES, False)
    share = rows["served rate ÷ decode and infer in a plain loop, 28x28 grey PNG"]
    assert (share.ours, share.met) == (120.0, True)
    naive = rows["requests/s beside Flask + predict, 28x28 grey PNG, 8 connections"]
    assert (naive.best_peer, naive.ratio, naive.met) == (20, 800, True)
    assert rows["resident memory of a worker, the largest seen"].met


def test_the_latency_at_half_of_the_peak_is_judged_against_the_lowest() -> None:
    cells = [
        cell(OURS, rate=11_000.0, p99_ms=2.0, is_valid=True),
        cell(MOSEC, rate=11_000.0, p99_ms=None),
        cell(BATCHES, rate=11_000.0, p99_ms=3.0),
        cell(LIT, rate=11_000.0, p99_ms=9.0),
    ]
    row, invalid = open_rows(cells)
    assert (invalid.ours, invalid.met) == (0, True)
    late = [cell(OURS, rate=11_000.0, p99_ms=2.0, is_valid=False)]
    assert open_rows(late)[-1].met is False
    assert row.measure == "p99 at 11,000/s, half of the best peer's peak, 28x28 grey PNG"
    assert (row.ours, row.best_peer, row.peer, row.met) == (2.0, 3.0, BATCHES, True)


def test_who_mostly_refuses_has_no_percentile_at_all() -> None:
    ours = [cell(OURS, n, rate=9_000.0, is_valid=True, p99_ms=20.0 + n) for n in range(3)]
    refusing = [cell(BATCHES, n, rate=9_000.0, p99_ms=p99) for n, p99 in enumerate((9, None, None))]
    slow = [cell(LIT, n, rate=9_000.0, p99_ms=p99) for n, p99 in enumerate((90.0, None, 70.0))]
    row = open_rows([*ours, *refusing, *slow])[0]
    assert (row.ours, row.best_peer, row.peer, row.met) == (21.0, 90.0, LIT, True)
    assert open_rows([*ours, *refusing])[0].best_peer is None
    failing = [cell(OURS, n, rate=9_000.0, is_valid=True, p99_ms=None) for n in range(3)]
    assert open_rows([*failing, *slow])[0].met is False


def test_faults_are_judged_by_the_goals_of_the_issue() -> None:
    found = {
        "swap": cell(OURS, requests=100_000, swaps=40, errors=0, p99_ms=14.0, p99_ms_before=10.0),
        "overload": cell(
            OURS,
            inference_ms=5.8,
            goodput_of_peak=0.95,
            refusal_p99_ms=4.0,
            back_to_normal_s=0.4,
            lost=0,
            timed_out=0,
        ),
        "stop": cell(OURS, failed=1),
    }
    rows = fault_rows(found)
    assert [row.met for row in rows] == [True, True, True, True, True, True, False, True]
    found["swap"].figures["reasons"] = ["late"]
    last = fault_rows(found)[-1]
    assert (last.measure, last.met) == ("INVALID runs among these (swap)", False)
    assert rows[0].measure == "errors, 100,000 requests, 40 swaps at 70 % load"
    assert fault_rows({}) == []


def test_the_grid_has_every_server_in_every_configuration() -> None:
    grid = rates_grid(ROUND)
    assert grid.titles == ["server", "png, 8", "png, 64", "MB a worker"]
    assert [line[0] for line in grid.lines] == [measured.cell.arm for measured in ROUND]
    assert grid.lines[1] == ["Mosec, 2 workers", "7,000", "7,500", "100"]
    json.dumps(grid.lines)


# Decoders


def test_decoders_are_listed_with_how_far_they_are_from_pillow(tmp_path: Path) -> None:
    figures = {
        "0028-grey.png": {
            "Pillow": {"us": 60.0, "difference": 0.0},
            "pyspng": {"us": 20.0, "difference": 0.0},
            "OpenCV": {"us": 15.0, "difference": 0.0},
        },
        "0224-colour.jpeg": {
            "Pillow": {"us": 900.0, "difference": 0.0},
            "simplejpeg": {"us": 500.0, "difference": 0.0},
            "OpenCV": {"us": 400.0, "difference": 1.0},
        },
    }
    lines = decoders.grid(figures).lines
    assert lines[0] == ["0028-grey.png", "60", "20", "", "", "15"]
    assert lines[1] == ["0224-colour.jpeg", "900", "", "500", "", "400 (± 1)"]
    rows = decoders.summary(figures)
    assert [(row.ours, row.best_peer, row.peer) for row in rows] == [
        (20.0, 15.0, "OpenCV"),
        (500.0, 900.0, "Pillow"),
    ]
    decoders.write_pictures(tmp_path)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert len(names) == 10
    for name in names:
        side, _, kind = name.replace(".", "-").split("-")
        with Image.open(tmp_path / name) as image:
            assert (image.format, image.size) == (kind.upper(), (int(side), int(side)))
    assert all("==" in line for line in decoders.peer().requirements)


def test_photographs_that_become_small_are_measured_beside_the_whole_picture() -> None:
    found = {
        side: decoders.shrunk(decoders.picture(side, "JPEG", colour=True), 0.0)
        for side in (100, 500)
    }
    alike, reduced = found.values()
    assert alike["largest_difference"] == 0
    assert 0 < reduced["mean_difference"] <= reduced["largest_difference"]
    rows = decoders.small_rows(found)
    assert [row.ours for row in rows] == [each["us"] for each in found.values()]
    assert all(each["us"] > 0 and each["whole_us"] > 0 for each in found.values())


LEAVER = """
import os, signal, subprocess, sys, time
sleeping = [sys.executable, "-c", "import time; time.sleep(60)", sys.argv[1]]
def leave(*_):
    subprocess.Popen(sleeping, process_group=0)
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
subprocess.Popen(sleeping, process_group=0)
print("ready", flush=True)
time.sleep(60)
"""


def test_nothing_of_a_peer_is_left_also_what_it_starts_while_it_ends(tmp_path: Path) -> None:
    mark = str(tmp_path)

    def marked() -> list[psutil.Process]:
        return [
            each
            for each in psutil.process_iter(["cmdline"])
            if mark in (each.info["cmdline"] or [])
        ]

    with serving_servers._running("a peer", [sys.executable, "-c", LEAVER, mark], {}):
        until(lambda: len(marked()) == 2)
    assert marked() == []
