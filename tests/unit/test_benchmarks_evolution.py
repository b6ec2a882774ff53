import io
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks import evolution, evolution_cells, evolution_rows
from benchmarks.anytime import best_at, curves_of, draw, labelled, mean_curve
from benchmarks.arms import (
    ABLATIONS,
    BUDGETS_S,
    GOALS,
    OURS,
    PEER_EPOCHS,
    RANDOM,
    STRATEGIES,
    TITLES,
    Contestant,
    Goals,
    contestants,
    request_of,
    settings_of,
)
from benchmarks.cells import Cell, CellStore, Measured
from benchmarks.datasets import NAMES
from benchmarks.evolution_rows import arms_grid, best_of, cells_grid, summary
from benchmarks.frame import Options
from benchmarks.frozen import copied
from benchmarks.peers import Peer
from benchmarks.pixels import decoded, share_right
from benchmarks.rows import Goal, Row, at_least
from commons.errors import ConflictError, InvalidInputError
from commons.messages import Evaluation, Individual, Run, RunProgress, RunRequest

BAYESIAN = "KerasTuner Bayesian"
GOAL = Goals(at_least(98.5), Goal("at most", 0.5, of="ratio"))


def by_measure(rows: list[Row], start: str) -> Row:
    return next(row for row in rows if row.measure.startswith(start))


def cell(arm: str, seed: int, accuracy: float | None, images: str = "s") -> Measured:
    figures: dict[str, Any] = {
        "test_accuracy": accuracy,
        "validation_accuracy": 0.99,
        "networks": 30,
        "wall_seconds": 60.0 + seed,
        "peak_bytes": 2_000_000_000,
        "images": images,
        "curve": [[1.0, 0.5], [10.0 + seed, 0.9]],
    }
    if arm not in contestants():
        figures |= {"failed": 0, "tensorflow_imports": 2, "classification_median_ms": 2.0}
    taken = {"commit": "5db791e00d158ce5", "dirty": False}
    return Measured(Cell("evolution", arm, "digits", seed, {"seconds": 60.0}), figures, taken)


def cells(arm: str, *accuracies: float | None) -> list[Measured]:
    return [cell(arm, seed, accuracy) for seed, accuracy in enumerate(accuracies)]


def all_of(measured: list[Measured]) -> list[Cell]:
    return [each.cell for each in measured]


def test_the_rows_compare_with_random_search_where_no_peer_ran() -> None:
    measured = [*cells(OURS, 0.98, 0.99), *cells(RANDOM, 0.97, 0.98)]
    rows = summary(measured, GOAL, all_of(measured))
    accuracy = by_measure(rows, "test accuracy, mean")
    assert (accuracy.ours, accuracy.best_peer) == (pytest.approx(98.5), pytest.approx(97.5))
    assert (accuracy.peer, accuracy.met) == (RANDOM, True)
    gain = by_measure(rows, "test accuracy, ours - random")
    assert gain.ours == pytest.approx(1.0)
    assert gain.measure.endswith("(95 %: -2.04 to +4.04)")
    assert by_measure(rows, "peak memory").ours == pytest.approx(2000)
    assert by_measure(rows, "wall-clock / budget").ours == pytest.approx(61 / 60)
    assert by_measure(rows, "wall-clock / budget").met is True


def test_the_best_peer_is_the_one_with_the_highest_mean() -> None:
    measured = [
        *cells(OURS, 0.99, 0.98),
        *cells(RANDOM, 0.999, 0.999),
        *cells("Optuna", 0.90, 0.95),
        *cells(BAYESIAN, 0.98, None),
        *cells("AutoKeras", None, None),
    ]
    rows = summary(measured, GOAL, all_of(measured))
    error = by_measure(rows, "test error")
    assert (error.peer, error.ours, error.best_peer) == (
        BAYESIAN, pytest.approx(1.5), pytest.approx(2.0),
    )  # fmt: skip
    assert error.met is False
    assert by_measure(rows, "failed candidates").best_peer is None
    without = by_measure(rows, "searches that ended without")
    assert (without.ours, without.best_peer) == (0, 1)
    assert by_measure(rows, f"test accuracy, ours - {BAYESIAN}").measure.endswith("no interval)")
    assert not any(row.measure.startswith("test accuracy, ours - AutoKeras") for row in rows)
    assert best_of(measured, ["AutoKeras"]) is None


def test_ours_alone_has_rows_without_a_peer() -> None:
    measured = cells(OURS, 0.9)
    rows = summary(measured, None, all_of(measured))
    assert by_measure(rows, "test accuracy, mean").best_peer is None
    assert by_measure(rows, "test error").goal is None
    assert summary(cells("Optuna", 0.9), None, []) == []


def test_cells_of_other_images_are_no_table() -> None:
    with pytest.raises(ConflictError, match="the same images, got a, b"):
        summary([cell(OURS, 0, 0.9, "a"), cell(RANDOM, 0, 0.9, "b")], None, [])


def test_a_table_of_some_of_its_cells_says_which_are_missing() -> None:
    wanted = evolution.cells_of("digits", 60, 3, [OURS, RANDOM, BAYESIAN, "AutoKeras"])
    measured = [*cells(OURS, 0.98, 0.99), *cells(RANDOM, 0.9, 0.9, 0.9), *cells(BAYESIAN, 0.97)]
    rows = summary(measured, GOAL, wanted)
    accuracy = by_measure(rows, "test accuracy, mean")
    assert accuracy.measure == f"test accuracy, mean (ours: n = 2 of 3; {BAYESIAN}: n = 1 of 3)"
    assert by_measure(rows, "test error").measure.endswith("; not measured: AutoKeras)")
    assert by_measure(rows, "test accuracy, ours - random").measure.endswith("(ours: n = 2 of 3)")
    lines = arms_grid(measured, wanted).lines
    assert [line[:2] for line in lines] == [
        (OURS, "2 of 3"), (RANDOM, "3"), (BAYESIAN, "1 of 3"), ("AutoKeras", "0 of 3"),
    ]  # fmt: skip
    assert lines[-1][2:] == ("-",) * 6
    named = labelled(curves_of(measured), 3)
    assert list(named) == ["ours (n = 2 of 3)", RANDOM, f"{BAYESIAN} (n = 1 of 3)"]


def test_the_table_says_what_each_arm_was_measured_with() -> None:
    mixed = cells(OURS, 0.98, 0.99, 0.99)
    mixed[2] = replace(mixed[2], taken={"commit": "0123456789abcdef", "dirty": True})
    theirs = cell("Optuna", 0, 0.9)
    settings = {"seconds": 60.0, "script": "abc"}
    theirs = replace(theirs, cell=replace(theirs.cell, settings=settings))
    theirs.figures["requirements"] = ["keras==3.15.1", "optuna==5.0.0"]
    measured = [*mixed, theirs]
    ours, optuna = arms_grid(measured, all_of(measured)).lines
    assert ours[-1] == "commit 5db791e00d15 (2); commit 0123456789ab with changes (1)"
    assert optuna[-1] == "keras==3.15.1, optuna==5.0.0, script abc"


def test_a_peers_cell_is_bound_to_its_packages_and_its_script(tmp_path: Path) -> None:
    contestant = stub(tmp_path)
    known = settings_of(contestant, "digits")
    assert settings_of(stub(tmp_path), "digits") == known
    assert settings_of(contestant, "mnist") != known
    assert settings_of(replace(contestant, variant="hyperband"), "digits") != known
    (tmp_path / "other_peer.py").write_text("nothing of ours")
    assert settings_of(contestant, "digits") == known
    (tmp_path / "race.py").write_text("shared by all")
    shared = settings_of(contestant, "digits")
    stub(tmp_path, fails=True)
    edited = settings_of(contestant, "digits")
    newer = replace(contestant, peer=replace(contestant.peer, requirements=["a==2"]))
    found = [each["script"] for each in (known, shared, edited)]
    assert len(set(found)) == 3
    assert settings_of(newer, "digits")["requirements"] != known["requirements"]


def test_the_grids_say_what_each_arm_and_cell_reached() -> None:
    measured = [*cells(OURS, 0.98, 0.99), *cells("AutoKeras", 0.5, None)]
    measured[-1].figures["ended"] = "it broke"
    ours, theirs = arms_grid(measured, all_of(measured)).lines
    assert list(ours) == [
        OURS, "2", "98.50 ± 0.71", "99.00 ± 0.00", "30 ± 0", "2,000 ± 0", "60.5 ± 0.7",
        "commit 5db791e00d15",
    ]  # fmt: skip
    assert theirs[:3] == ("AutoKeras", "1 of 2, 1 failed", "50.00")
    lines = cells_grid(measured).lines
    assert lines[0][-1] == "complete"
    assert (lines[-1][2], lines[-1][-1]) == ("-", "it broke")


@pytest.mark.parametrize("switch", ["rungs", "inheritance", "curve_stop", "warm_final"])
def test_an_ablation_is_the_evolution_without_one_thing(switch: str) -> None:
    request = request_of(f"without {switch}", "digits", "0" * 64, 120.0, 2)
    assert request.strategy == "evolution"
    assert [name for name, on in request.fidelity if not on] == [switch]
    assert (request.seconds, request.seed) == (120.0, 2)


def test_a_second_run_is_the_same_with_and_without_the_cache() -> None:
    first, again, without = (
        request_of(arm, "digits", "0" * 64, 120.0, 2)
        for arm in (OURS, "again", "again without cache")
    )
    assert again == first
    assert [name for name, on in without.fidelity if not on] == ["cache"]
    assert without.model_copy(update={"fidelity": again.fidelity}) == again


@pytest.mark.parametrize("arm", list(STRATEGIES))
def test_the_arms_of_ours_differ_in_their_strategy_alone(arm: str) -> None:
    request = request_of(arm, "digits", "0" * 64, 60.0, 0)
    assert request.strategy == STRATEGIES[arm]
    ours = request_of(OURS, "digits", "0" * 64, 60.0, 0)
    same = {"strategy": "evolution", "fidelity": ours.fidelity}
    assert request.model_copy(update=same) == ours
    # The classic one is as plain as it is known.
    assert any(on for _, on in request.fidelity) is (arm != "generational")


def test_every_peer_is_pinned_whole_and_has_its_script() -> None:
    for contestant in contestants().values():
        assert all("==" in each for each in contestant.peer.requirements)
        assert any(each.startswith("numpy==") for each in contestant.peer.requirements)
        assert contestant.peer.script.is_file()
    autokeras = contestants()["AutoKeras"].peer.requirements
    assert {"autokeras==3.0.0", "keras==3.11.3"} <= set(autokeras)
    assert "keras-tuner==1.4.8" in contestants()[BAYESIAN].peer.requirements


def test_every_dataset_has_its_budget() -> None:
    assert set(BUDGETS_S) == set(PEER_EPOCHS) == set(TITLES) == set(NAMES)
    assert {(name, seconds) for name, seconds in BUDGETS_S.items()} <= set(GOALS)


def test_the_cells_go_seed_by_seed() -> None:
    assert evolution.arms(False, False) == tuple(STRATEGIES)
    assert evolution.arms(True, False) == (OURS, *ABLATIONS)
    assert evolution.arms(False, True)[-1] == "AutoKeras"
    found = evolution.cells_of("digits", 60, 2, ["a", "b"])
    assert [(each.seed, each.arm) for each in found] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


def test_a_curve_is_the_best_so_far() -> None:
    curve = [(1.0, 0.5), (4.0, 0.9)]
    assert [best_at(curve, second) for second in (0.5, 1.0, 3.9, 9.0)] == [None, 0.5, 0.5, 0.9]
    points = mean_curve([curve, [(2.0, 0.7)]], 8.0)
    assert points[0][0] >= 2.0  # before that one of them has no network
    assert points[0][1] == pytest.approx(0.6)
    assert points[-1] == (8.0, pytest.approx(0.8))


def test_the_same_curves_make_the_same_picture(tmp_path: Path) -> None:
    curves = curves_of([*cells(OURS, 0.9, 0.9), *cells("Optuna", 0.9)])
    assert {arm: len(seeds) for arm, seeds in curves.items()} == {OURS: 2, "Optuna": 1}
    for name in ("one", "two"):
        draw(curves, 60.0, "digits", tmp_path / name / "curve.svg")
    one, two = ((tmp_path / name / "curve.svg").read_text() for name in ("one", "two"))
    assert one == two
    assert all(word in one for word in (OURS, "Optuna", "seconds of search"))


def test_a_picture_of_nothing_is_a_picture(tmp_path: Path) -> None:
    draw({}, 60.0, "nothing", tmp_path / "curve.svg")
    assert "nothing" in (tmp_path / "curve.svg").read_text()


def png(side: int, value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (side, side), value).save(buffer, "PNG")
    return buffer.getvalue()


def test_pictures_of_one_size_become_an_array() -> None:
    found = decoded([png(3, 7), png(3, 9)])
    assert (found.shape, found.dtype, found[1].max()) == ((2, 3, 3, 1), np.uint8, 9)
    with pytest.raises(InvalidInputError, match="one shape"):
        decoded([png(3, 7), png(4, 7)])


def test_answers_are_counted_one_for_one(tmp_path: Path) -> None:
    np.save(tmp_path / "truth.npy", np.array([1, 2, 3, 4]))
    np.save(tmp_path / "answers.npy", np.array([1, 2, 3, 0]))
    assert share_right(tmp_path / "answers.npy", tmp_path / "truth.npy") == 0.75
    np.save(tmp_path / "answers.npy", np.array([1]))
    with pytest.raises(InvalidInputError, match="expected 4 answers"):
        share_right(tmp_path / "answers.npy", tmp_path / "truth.npy")


def test_the_figures_of_a_run_have_its_curve() -> None:
    def individual(number: int, at: float, accuracy: float) -> Individual:
        known = Evaluation(rung="1", state="finished", outcome="ok", accuracy=accuracy, at=at)
        return Individual(
            number=number, genome={}, genome_hash="h", description="d", parents=[],
            operator="seed", state="finished", parameters=1, evaluations=[known],
        )  # fmt: skip

    run = Run(
        id="r", state="complete", request=RunRequest(dataset="digits"), snapshot=None, shape=None,
        created=0.0, progress=RunProgress(evaluated=3, failed=1, best=0.9, epochs=12),
    )  # fmt: skip
    journal = [individual(1, 5.0, 0.8), individual(2, 4.0, 0.5), individual(3, 6.0, 0.7)]
    found = evolution_cells.figures_of(run, journal)
    assert found["curve"] == [[4.0, 0.5], [5.0, 0.8]]
    assert (found["networks"], found["failed"], found["epochs"]) == (3, 1, 12)


def test_a_copy_of_a_data_folder_shares_its_blobs_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "blobs" / "ab").mkdir(parents=True)
    (source / "blobs" / "ab" / "abc").write_text("an image")
    (source / "sensory.sqlite3").write_text("tables")
    copied(source, tmp_path / "copy")
    copy = tmp_path / "copy"
    assert (copy / "blobs" / "ab" / "abc").samefile(source / "blobs" / "ab" / "abc")
    assert not (copy / "sensory.sqlite3").samefile(source / "sensory.sqlite3")
    (copy / "sensory.sqlite3").write_text("others")
    assert (source / "sensory.sqlite3").read_text() == "tables"


STUB = """
import json, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if {fails}:
    sys.exit("no luck")
header = str({{"descr": "<i8", "fortran_order": False, "shape": (2,)}}).ljust(117) + "\\n"
with open(given["--answers"], "wb") as file:
    file.write(b"\\x93NUMPY\\x01\\x00" + len(header).to_bytes(2, "little") + header.encode())
    file.write((1).to_bytes(8, "little") + (5).to_bytes(8, "little"))
print(json.dumps({{
    "networks": 4, "epochs": 9, "wall_seconds": float(given["--seconds"]), "ended": "deadline",
    "validation_accuracy": 0.75, "kept_accuracy": 0.75, "curve": [[2.0, 0.5], [9.0, 0.75]],
    "said": given,
}}))
"""


def stub(folder: Path, fails: bool = False) -> Contestant:
    file = folder / "stub.py"
    file.write_text(STUB.format(fails=fails), encoding="utf-8")
    return Contestant(Peer("Stub", (), file), "bayesian")


def pixels(work: Path) -> None:
    folder = work / "pixels" / "digits"
    folder.mkdir(parents=True)
    (folder / "about.json").write_text(json.dumps({"images": "s"}), encoding="utf-8")
    np.save(folder / "truth.npy", np.array([1, 2]))


@pytest.fixture
def with_stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pixels(tmp_path)
    peers = {BAYESIAN: stub(tmp_path)}
    for module in (evolution, evolution_cells, evolution_rows):
        monkeypatch.setattr(module, "contestants", lambda: peers)
    monkeypatch.setattr(evolution, "CELLS", tmp_path / "never")
    monkeypatch.setattr(evolution, "keep_to", lambda _: None)
    monkeypatch.setattr("benchmarks.frame.Options", partial(Options, work=tmp_path))
    monkeypatch.setattr(
        evolution, "measure_ours", lambda each, _: cell(each.arm, each.seed, 0.5).figures
    )
    return tmp_path


def test_a_look_with_a_peer_makes_a_table_a_report_and_a_picture(with_stub: Path) -> None:
    report, picture = with_stub / "report.json", with_stub / "curve.svg"
    arguments = [
        "--quick", "--peers", "--arm", OURS, "--arm", BAYESIAN, "--picture", str(picture),
        "--json", str(report),
    ]  # fmt: skip
    done = CliRunner().invoke(evolution.evolution, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(report.read_text())
    assert [line[0] for line in found["grids"][0]["lines"]] == [OURS, BAYESIAN]
    theirs = found["details"]["cells"][1]
    assert (theirs["settings"]["seconds"], theirs["settings"]["variant"]) == (20.0, "bayesian")
    assert theirs["figures"]["test_accuracy"] == 0.5
    said = theirs["figures"]["said"]
    assert (said["--variant"], said["--seed"], said["--epochs"]) == ("bayesian", "0", "30")
    assert "--flip" not in said
    assert BAYESIAN in picture.read_text()
    assert not (with_stub / "never").exists()
    assert len(list((with_stub / "cells").iterdir())) == 2
    assert not list(with_stub.glob("peer-*"))


def test_a_peer_that_breaks_is_a_line_of_the_table_and_no_end_of_it(with_stub: Path) -> None:
    stub(with_stub, fails=True)
    options = Options(True, True, False, with_stub, with_stub)
    found = evolution.measure(Cell("evolution", BAYESIAN, "digits", 0, {"seconds": 1.0}), options)
    assert found["test_accuracy"] is None
    assert found["requirements"] == []
    assert "no luck" in found["ended"]
    assert found["images"] == "s"


def test_tables_are_made_of_what_is_kept(with_stub: Path) -> None:
    report = with_stub / "report.json"
    wanted = ["--arm", OURS, "--arm", BAYESIAN, "--seeds", "2", "--kept"]
    empty = CliRunner().invoke(evolution.evolution, wanted)
    assert empty.exit_code == 1
    assert "Error: none of these cells is in never: measure some first" in empty.output
    first = evolution.cells_of("digits", 60, 1, [OURS])[0]
    CellStore(with_stub / "never").put(replace(cell(OURS, 0, 0.98), cell=first))
    done = CliRunner().invoke(evolution.evolution, [*wanted, "--json", str(report)])
    assert done.exit_code == 0, done.output
    found = json.loads(report.read_text())
    assert [line[:2] for line in found["grids"][0]["lines"]] == [
        [OURS, "1 of 2"], [BAYESIAN, "0 of 2"],
    ]  # fmt: skip
    assert found["rows"][0]["measure"] == "test accuracy, mean (ours: n = 1 of 2)"
    assert len(list((with_stub / "never").iterdir())) == 1
