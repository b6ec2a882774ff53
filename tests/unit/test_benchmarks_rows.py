import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from benchmarks.frame import (
    REPOSITORY,
    Findings,
    Options,
    benchmark,
    datasets_folder,
    figure,
)
from benchmarks.rows import Goal, Row, at_least, at_most
from commons.errors import UnavailableError

ROW = Row("accuracy", "%", 98.7, 97.5, "Other", at_least(98.5))


def test_a_row_knows_its_ratio_and_whether_its_goal_is_met() -> None:
    assert ROW.as_json() == {
        "measure": "accuracy",
        "unit": "%",
        "ours": 98.7,
        "best_peer": 97.5,
        "peer": "Other",
        "ratio": pytest.approx(98.7 / 97.5),
        "goal": "≥ 98.5",
        "met": True,
    }


@pytest.mark.parametrize(
    ("goal", "ours", "met"),
    [
        (at_least(98.5), 98.5, True),
        (at_least(98.5), 98.49, False),
        (at_most(5), 5, True),
        (at_most(5), 5.1, False),
        (at_most(0), 0, True),
        (at_least(1), None, None),
        (None, 1.0, None),
    ],
)
def test_a_goal_is_met_at_its_bound(goal: Goal | None, ours: float | None, met: bool) -> None:
    assert Row("x", "", ours, goal=goal).met is met


def test_a_goal_may_be_of_the_ratio_to_the_best_peer() -> None:
    goal = Goal("at least", 2.2, of="ratio")
    assert str(goal) == "≥ 2.2 of the peer's"
    assert Row("rate", "1/s", 23.0, 10.0, "Other", goal).met is True
    assert Row("rate", "1/s", 21.0, 10.0, "Other", goal).met is False
    assert Row("rate", "1/s", 21.0, goal=goal).met is None


def test_there_is_no_ratio_to_nothing() -> None:
    assert Row("x", "", 3.0, 0.0, "Other").ratio is None
    assert Row("x", "", None, 2.0, "Other").ratio is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (0.12345, "0.1235"), (98.7, "98.7"), (1234.5, "1,234")],
)
def test_a_figure_is_written_with_the_digits_that_mean_something(
    value: float | None, text: str
) -> None:
    assert figure(value) == text


def test_datasets_lie_where_it_is_said(tmp_path: Path) -> None:
    named = {"DICEBOX_DATASETS": "/elsewhere"}
    assert datasets_folder(tmp_path, named) == tmp_path
    assert datasets_folder(None, named) == Path("/elsewhere")
    assert datasets_folder(None, {}) == REPOSITORY.parent / "shared" / "datasets"


def command(fault: Exception | None = None) -> click.Command:
    @benchmark("sample")
    @click.option("--count", default=3)
    def sample(options: Options, count: int) -> Findings:
        """Measure a sample."""
        if fault is not None:
            raise fault
        return Findings([ROW], details={"count": count, "quick": options.quick})

    return sample


def test_a_benchmark_prints_a_table_and_writes_what_its_figures_mean(tmp_path: Path) -> None:
    file = tmp_path / "results" / "sample.json"
    ended = CliRunner().invoke(command(), ["--quick", "--count", "7", "--json", str(file)])
    assert ended.exit_code == 0, ended.output
    assert "accuracy" in ended.stdout
    assert "97.5 (Other)" in ended.stdout
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["rows"] == [ROW.as_json()]
    assert report["details"] == {"count": 7, "quick": True}
    assert report["benchmark"] == "sample"
    assert report["quick"] is True
    assert {"cpu", "cores", "memory_bytes", "system", "load_before"} <= set(report["machine"])
    assert {"python", "numpy"} <= set(report["versions"])
    assert {"date", "commit", "dirty", "command"} <= set(report)


def test_a_failure_is_one_line_and_writes_no_report(tmp_path: Path) -> None:
    file = tmp_path / "sample.json"
    ended = CliRunner().invoke(command(UnavailableError("no server")), ["--json", str(file)])
    assert ended.exit_code == 1
    assert ended.output == "Error: no server\n"
    assert not file.exists()


def test_every_benchmark_takes_the_same_options() -> None:
    ended = CliRunner().invoke(command(), ["--help"])
    for option in ("--quick", "--peers", "--resume", "--data", "--json", "--count"):
        assert option in ended.output
    assert "Measure a sample." in ended.output
