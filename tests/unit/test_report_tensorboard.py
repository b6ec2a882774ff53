"""The logs for TensorBoard, read back from their files."""

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from dicebox.report.tensorboard import write_logs
from tests.report_builders import bred, evaluation, individual


def events(folder: Path) -> Iterator[Event]:
    """Yield what the one file of a folder holds: records of length, checksum, event, checksum."""
    (file,) = folder.iterdir()
    data = file.read_bytes()
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + size])
        data = data[16 + size :]


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Return (step, value) of a tag."""
    return [
        (event.step, pytest.approx(value.simple_value))
        for event in events(folder)
        for value in event.summary.value
        if value.tag == tag and value.HasField("simple_value")
    ]


def epochs(*accuracies: float) -> list[dict[str, float]]:
    return [
        {"epoch": n, "seconds": float(n), "accuracy": accuracy, "loss": 0.5}
        for n, accuracy in enumerate(accuracies, start=1)
    ]


def test_every_epoch_is_a_step_and_one_that_two_rungs_tell_of_is_one(tmp_path: Path) -> None:
    one = individual(
        7,
        evaluation("1", 0.8, started=100.0, history=epochs(0.4, 0.8)),
        evaluation("2", 0.9, started=200.0, resumed=True, history=epochs(0.4, 0.8, 0.85, 0.9)),
        evaluation("final", 0.95, started=300.0, history=epochs(0.5, 0.95)),
    )
    assert write_logs([one], tmp_path) == 1
    folder = tmp_path / "000007"
    assert scalars(folder, "search/accuracy") == [(1, 0.4), (2, 0.8), (3, 0.85), (4, 0.9)]
    assert scalars(folder, "final/accuracy") == [(1, 0.5), (2, 0.95)]
    assert len(scalars(folder, "search/loss")) == 4
    assert scalars(folder, "fitness") == [(0, 0.9)]
    times = [event.wall_time for event in events(folder) for _ in event.summary.value]
    assert {101.0, 102.0, 201.0, 202.0, 301.0, 302.0} <= set(times)


def test_the_genome_is_there_as_hyperparameters(tmp_path: Path) -> None:
    write_logs([individual(1, evaluation("1", 0.8), operator="seed")], tmp_path)
    values = [value for event in events(tmp_path / "000001") for value in event.summary.value]
    tags = {value.tag for value in values if value.metadata.plugin_data.plugin_name == "hparams"}
    assert "_hparams_/session_start_info" in tags
    (start,) = [one for one in values if one.tag == "_hparams_/session_start_info"]
    content = start.metadata.plugin_data.content
    for word in (b"learning rate", b"optimizer", b"operator", b"seed", b"parameters"):
        assert word in content


def test_a_second_time_replaces_the_first_and_touches_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "000001"
    for accuracy in (0.8, 0.9):
        write_logs([individual(1, evaluation("1", accuracy))], tmp_path)
    assert scalars(folder, "fitness") == [(0, 0.9)]
    (folder / "notes.txt").write_text("mine")
    write_logs([individual(1, evaluation("1", 0.7))], tmp_path)
    assert sorted(file.name.split(".")[0] for file in folder.iterdir()) == ["events", "notes"]


def test_what_was_never_trained_has_no_log(tmp_path: Path) -> None:
    population = bred(20)
    bare = individual(21, evaluation("1", None))
    logged = write_logs([*population, bare], tmp_path)
    assert logged == len(list(tmp_path.iterdir()))
    assert not (tmp_path / "000021").exists()


def test_writing_them_loads_no_tensorflow() -> None:
    code = (
        "import sys, dicebox.report.tensorboard;"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'torch', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
